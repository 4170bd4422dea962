#include "data/prepare/row_filter.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "arrow/array.h"
#include "arrow/builder.h"
#include "arrow/compute/api_vector.h"
#include "arrow/datum.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"

namespace torii::data {

absl::StatusOr<TableChunk> KeepRows(const TableChunk& chunk, const std::vector<uint8_t>& keep) {
  if (std::find(keep.begin(), keep.end(), 0) == keep.end()) {
    return chunk;
  }
  TableChunk kept = chunk;
  auto numbers = std::make_shared<std::vector<int64_t>>();
  arrow::BooleanBuilder builder;
  TORII_RETURN_IF_ERROR(FromArrow(builder.AppendValues(keep), *chunk.file));
  for (size_t i = 0; i < keep.size(); ++i) {
    if (keep[i] != 0) {
      numbers->push_back(chunk.RowNumber(static_cast<int64_t>(i)));
    }
  }
  const auto mask = builder.Finish();
  if (!mask.ok()) {
    return FromArrow(mask.status(), *chunk.file);
  }
  for (std::shared_ptr<arrow::Array>& column : kept.columns) {
    const arrow::Result<arrow::Datum> filtered = arrow::compute::Filter(column, *mask);
    if (!filtered.ok()) {
      return FromArrow(filtered.status(), *chunk.file);
    }
    column = filtered->make_array();
  }
  kept.rows = static_cast<int64_t>(numbers->size());
  kept.row_numbers = std::move(numbers);
  return kept;
}

absl::StatusOr<TableChunk> RowFilter::Apply(const TableChunk& chunk, RowsDropped* dropped) const {
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

}  // namespace torii::data
