#include "data/rows/row_filter.h"

#include <algorithm>
#include <utility>

#include "arrow/array.h"
#include "base/status_macros.h"
#include "data/rows/chunk_rows.h"

namespace torii::data {
namespace {

// Clears the places in `keep` [rows] of ids that are missing: no value, NaN, or blanks.
absl::Status ClearMissing(const Column& column, std::vector<uint8_t>* keep) {
  if (IsInteger(*column.array) && column.array->null_count() == 0) {
    return absl::OkStatus();
  }
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  for (size_t i = 0; i < keep->size(); ++i) {
    const std::string_view text = texts.values[i];
    if (text.data() == nullptr || Trim(text).empty()) {
      (*keep)[i] = 0;
    }
  }
  return absl::OkStatus();
}

}  // namespace

RowFilter::RowFilter(const InteractionFiles& config, std::optional<RowCondition> where)
    : config_(config),
      where_(std::move(where)),
      columns_(config, where_.has_value() ? where_->columns() : std::vector<std::string>()) {}

absl::StatusOr<RowFilter> RowFilter::Make(const InteractionFiles& config) {
  std::optional<RowCondition> where;
  if (!config.where().empty()) {
    TORII_ASSIGN_OR_RETURN(where, RowCondition::Parse(config.where(), "data.interactions.where"));
  }
  return RowFilter(config, std::move(where));
}

absl::StatusOr<TableChunk> RowFilter::ApplyWhere(const TableChunk& chunk,
                                                 RowsDropped* dropped) const {
  if (!where_.has_value()) {
    return chunk;
  }
  const auto column = [&](const std::string& name) { return columns_.Of(chunk, name); };
  TORII_ASSIGN_OR_RETURN(const std::vector<uint8_t> keep, where_->Holds(chunk.rows, column));
  dropped->by_where += std::count(keep.begin(), keep.end(), 0);
  return KeepRows(chunk, keep);
}

absl::StatusOr<TableChunk> RowFilter::ApplyRating(const TableChunk& chunk,
                                                  RowsDropped* dropped) const {
  if (!config_.has_min_rating()) {
    return chunk;
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<double> ratings,
                         ReadNumbers(columns_.Of(chunk, columns_.rating)));
  std::vector<uint8_t> keep(ratings.size());
  for (size_t i = 0; i < keep.size(); ++i) {
    // NaN is a missing rating, and not >= anything.
    keep[i] = ratings[i] >= config_.min_rating() ? 1 : 0;
    dropped->by_rating += keep[i] == 0 ? 1 : 0;
  }
  return KeepRows(chunk, keep);
}

absl::StatusOr<TableChunk> RowFilter::ApplyIds(const TableChunk& chunk,
                                               RowsDropped* dropped) const {
  if (config_.on_missing_id() != InteractionFiles::SKIP) {
    return chunk;
  }
  std::vector<uint8_t> keep(static_cast<size_t>(chunk.rows), 1);
  for (const int column : {columns_.user, columns_.item}) {
    TORII_RETURN_IF_ERROR(ClearMissing(columns_.Of(chunk, column), &keep));
  }
  dropped->without_id += std::count(keep.begin(), keep.end(), 0);
  return KeepRows(chunk, keep);
}

absl::StatusOr<TableChunk> RowFilter::Apply(const TableChunk& chunk, RowsDropped* dropped) const {
  TORII_ASSIGN_OR_RETURN(const TableChunk chosen, ApplyWhere(chunk, dropped));
  TORII_ASSIGN_OR_RETURN(const TableChunk rated, ApplyRating(chosen, dropped));
  return ApplyIds(rated, dropped);
}

}  // namespace torii::data
