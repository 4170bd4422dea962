#include "data/prepare/interaction_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/stopwatch.h"
#include "data/prepare/interaction_columns.h"
#include "data/read/table_reader.h"

namespace torii::data {
namespace {

constexpr int kChunksAhead = 4;
constexpr int64_t kProgressRows = 20'000'000;
constexpr int64_t kMaxCodes = std::numeric_limits<int32_t>::max();

// Turns chunks into interactions, one after the other.
class Coder {
 public:
  Coder(const InteractionFiles& config, const Survey& survey,
        const ReadInteractionsOptions& options, IdMap* users, IdMap* items)
      : config_(config),
        survey_(survey),
        options_(options),
        columns_(config),
        filter_(config),
        users_(*users),
        items_(*items) {}

  const std::vector<std::string>& columns() const { return columns_.names; }
  const InteractionCounts& counts() const { return counts_; }

  // The rows of `all` that are kept; valid until the next call.
  absl::StatusOr<InteractionBlock> Code(const TableChunk& all, Part part) {
    const int64_t first_order = std::exchange(counts_.read_rows, counts_.read_rows + all.rows);
    TORII_ASSIGN_OR_RETURN(const TableChunk chunk, filter_.Apply(all, &counts_.dropped));
    block_.clear();
    if (chunk.rows == 0) {
      return InteractionBlock(block_);
    }
    const Column user = columns_.Of(chunk, columns_.user);
    const Column item = columns_.Of(chunk, columns_.item);
    TORII_ASSIGN_OR_RETURN(const Ids user_ids, ReadIds(user, survey_.users));
    TORII_ASSIGN_OR_RETURN(const Ids item_ids, ReadIds(item, survey_.items));
    std::vector<int64_t> times;
    if (columns_.time >= 0) {
      TORII_ASSIGN_OR_RETURN(times, survey_.times.Read(columns_.Of(chunk, columns_.time)));
    }
    TORII_ASSIGN_OR_RETURN(const std::vector<float> weights, Weights(chunk));
    for (size_t i = 0; i < static_cast<size_t>(chunk.rows); ++i) {
      Interaction row;
      TORII_ASSIGN_OR_RETURN(row.user, CodeOf(users_, options_.users, user_ids, i, user, "user"));
      TORII_ASSIGN_OR_RETURN(row.item, CodeOf(items_, options_.items, item_ids, i, item, "item"));
      row.time = times.empty() ? 0 : times[i];
      row.order = first_order + chunk.RowNumber(static_cast<int64_t>(i)) - all.first_row;
      row.weight = weights.empty() ? 1.0F : weights[i];
      row.part = part;
      block_.push_back(row);
    }
    return InteractionBlock(block_);
  }

 private:
  absl::StatusOr<std::vector<float>> Weights(const TableChunk& chunk) {
    std::vector<float> weights;
    if (columns_.weight < 0 && !config_.rating_as_weight()) {
      return weights;
    }
    const Column column =
        columns_.Of(chunk, columns_.weight >= 0 ? columns_.weight : columns_.rating);
    if (columns_.weight >= 0) {
      TORII_RETURN_IF_ERROR(CheckNoNan(column));
    }
    TORII_ASSIGN_OR_RETURN(const std::vector<double> values, ReadNumbers(column));
    for (size_t i = 0; i < values.size(); ++i) {
      const double weight = std::isnan(values[i]) ? 1.0 : values[i];
      if (weight < 0 || weight > std::numeric_limits<float>::max()) {
        return CellError(column, static_cast<int64_t>(i),
                         absl::StrCat("weight ", weight, " is not a number >= 0"));
      }
      weights.push_back(static_cast<float>(weight));
    }
    return weights;
  }

  // Missing is fine, a NaN that somebody computed is not.
  static absl::Status CheckNoNan(const Column& column) {
    const auto check = [&](const auto& array) -> absl::Status {
      for (int64_t i = 0; i < array.length(); ++i) {
        if (array.IsValid(i) && std::isnan(array.Value(i))) {
          return CellError(column, i, "weight NaN is not a number >= 0");
        }
      }
      return absl::OkStatus();
    };
    if (column.array->type_id() == arrow::Type::DOUBLE) {
      return check(static_cast<const arrow::DoubleArray&>(*column.array));
    }
    if (column.array->type_id() == arrow::Type::FLOAT) {
      return check(static_cast<const arrow::FloatArray&>(*column.array));
    }
    if (IsText(*column.array)) {
      TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
      for (size_t i = 0; i < texts.values.size(); ++i) {
        double value = 0;
        if (texts.values[i].data() != nullptr && ParseNumber(texts.values[i], &value) &&
            std::isnan(value)) {
          return CellError(column, static_cast<int64_t>(i), "weight NaN is not a number >= 0");
        }
      }
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<int32_t> CodeOf(IdMap& map, const IdPolicy& policy, const Ids& ids,
                                        size_t i, const Column& column, const char* what) {
    if (policy.may_add) {
      const int32_t code = map.FindOrAdd(ids, i);
      if (code == kMaxCodes) {
        return CellError(column, static_cast<int64_t>(i),
                         absl::StrCat("more than ", kMaxCodes, " different ids"));
      }
      return code;
    }
    const int32_t code = map.Find(ids, i);
    if (code < 0) {
      return CellError(column, static_cast<int64_t>(i),
                       absl::StrCat(what, " ", ShowId(ids, map.type(), i), " is not in ",
                                    policy.side_files, "; add it there, or set ", policy.field,
                                    ".missing: ALLOW to train it without features"));
    }
    return code;
  }

  const InteractionFiles& config_;
  const Survey& survey_;
  const ReadInteractionsOptions& options_;
  const InteractionColumns columns_;
  const RowFilter filter_;
  IdMap& users_;
  IdMap& items_;
  InteractionCounts counts_;
  std::vector<Interaction> block_;
};

}  // namespace

absl::StatusOr<InteractionCounts> ReadInteractions(
    FileSystem& files, const InteractionFiles& config, const InteractionInputs& inputs,
    const Survey& survey, const ReadInteractionsOptions& options, IdMap* users, IdMap* items,
    InteractionSpill* spill) {
  Coder coder(config, survey, options, users, items);
  const Stopwatch watch;
  int64_t next_progress = kProgressRows;
  for (int p = 0; p < kNumParts; ++p) {
    const std::unique_ptr<TableReader> reader =
        ReadAhead(ConcatenateTables(files, inputs.of_part[p], coder.columns()), kChunksAhead);
    while (true) {
      TORII_ASSIGN_OR_RETURN(const std::optional<TableChunk> chunk, reader->Next());
      if (!chunk.has_value()) {
        break;
      }
      TORII_ASSIGN_OR_RETURN(const InteractionBlock block,
                             coder.Code(*chunk, static_cast<Part>(p)));
      TORII_RETURN_IF_ERROR(spill->Append(block));
      if (options.verbose && coder.counts().read_rows >= next_progress) {
        next_progress += kProgressRows;
        TORII_INFO(
            "read ", coder.counts().read_rows, " interactions, ",
            static_cast<int64_t>(static_cast<double>(coder.counts().read_rows) / watch.seconds()),
            " rows/s");
      }
    }
  }
  TORII_RETURN_IF_ERROR(spill->Finish());
  return coder.counts();
}

}  // namespace torii::data
