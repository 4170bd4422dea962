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
#include "data/read/table_reader.h"

namespace torii::data {
namespace {

constexpr int kChunksAhead = 4;
constexpr int64_t kProgressRows = 20'000'000;
constexpr int64_t kMaxCodes = std::numeric_limits<int32_t>::max();

// The columns that the configuration names, and where each is in a chunk (-1: not read).
struct ColumnPlan {
  std::vector<std::string> names;
  int user = -1;
  int item = -1;
  int time = -1;
  int rating = -1;
  int weight = -1;

  int Add(const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      names.push_back(name);
      return static_cast<int>(names.size()) - 1;
    }
    return static_cast<int>(found - names.begin());
  }
  Column Of(const TableChunk& chunk, int index) const {
    return ColumnOf(chunk, static_cast<size_t>(index), names[static_cast<size_t>(index)]);
  }
};

ColumnPlan PlanColumns(const InteractionFiles& config) {
  ColumnPlan plan;
  plan.user = plan.Add(config.user());
  plan.item = plan.Add(config.item());
  if (!config.time().empty()) {
    plan.time = plan.Add(config.time());
  }
  if (!config.rating().empty() && (config.has_min_rating() || config.rating_as_weight())) {
    plan.rating = plan.Add(config.rating());
  }
  if (!config.weight().empty()) {
    plan.weight = plan.Add(config.weight());
  }
  return plan;
}

// Turns chunks into interactions, one after the other.
class Coder {
 public:
  Coder(const InteractionFiles& config, const ReadInteractionsOptions& options, IdMap* users,
        IdMap* items)
      : config_(config),
        options_(options),
        plan_(PlanColumns(config)),
        users_(*users),
        items_(*items) {}

  const ColumnPlan& plan() const { return plan_; }
  const InteractionCounts& counts() const { return counts_; }

  // The rows of `chunk` that are kept; valid until the next call.
  absl::StatusOr<InteractionBlock> Code(const TableChunk& chunk, Part part) {
    const Column user = plan_.Of(chunk, plan_.user);
    const Column item = plan_.Of(chunk, plan_.item);
    TORII_ASSIGN_OR_RETURN(const Ids user_ids,
                           ReadIds(user, users_.type(), "data.interactions.user_type"));
    TORII_ASSIGN_OR_RETURN(const Ids item_ids,
                           ReadIds(item, items_.type(), "data.interactions.item_type"));
    std::vector<int64_t> times;
    if (plan_.time >= 0) {
      TORII_ASSIGN_OR_RETURN(times, ReadTimes(plan_.Of(chunk, plan_.time), &counts_.time_kind));
    }
    std::vector<double> ratings;
    if (plan_.rating >= 0) {
      TORII_ASSIGN_OR_RETURN(ratings, ReadNumbers(plan_.Of(chunk, plan_.rating)));
    }
    TORII_ASSIGN_OR_RETURN(const std::vector<float> weights, Weights(chunk, ratings));
    block_.clear();
    for (size_t i = 0; i < static_cast<size_t>(chunk.rows); ++i) {
      const int64_t order = counts_.read_rows++;
      // NaN is a missing rating, and not >= anything.
      if (config_.has_min_rating() && !(ratings[i] >= config_.min_rating())) {
        ++counts_.dropped_by_rating;
        continue;
      }
      Interaction row;
      TORII_ASSIGN_OR_RETURN(row.user, CodeOf(users_, options_.users, user_ids, i, user, "user"));
      TORII_ASSIGN_OR_RETURN(row.item, CodeOf(items_, options_.items, item_ids, i, item, "item"));
      row.time = times.empty() ? 0 : times[i];
      row.order = order;
      row.weight = weights.empty() ? 1.0F : weights[i];
      row.part = part;
      block_.push_back(row);
    }
    return InteractionBlock(block_);
  }

 private:
  absl::StatusOr<std::vector<float>> Weights(const TableChunk& chunk,
                                             const std::vector<double>& ratings) {
    std::vector<float> weights;
    if (plan_.weight < 0 && !config_.rating_as_weight()) {
      return weights;
    }
    const Column column = plan_.Of(chunk, plan_.weight >= 0 ? plan_.weight : plan_.rating);
    std::vector<double> values = ratings;
    if (plan_.weight >= 0) {
      TORII_RETURN_IF_ERROR(CheckNoNan(column));
      TORII_ASSIGN_OR_RETURN(values, ReadNumbers(column));
    }
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
  const ReadInteractionsOptions& options_;
  const ColumnPlan plan_;
  IdMap& users_;
  IdMap& items_;
  InteractionCounts counts_;
  std::vector<Interaction> block_;
};

}  // namespace

absl::StatusOr<IdTypes> FindIdTypes(FileSystem& files, const InteractionFiles& config,
                                    const InteractionInputs& inputs) {
  IdTypes types{.user = config.user_type(), .item = config.item_type()};
  if (types.user != DETECT && types.item != DETECT) {
    return types;
  }
  const std::vector<std::string> columns = {config.user(), config.item()};
  const std::vector<InputFile>& train = inputs.of_part[static_cast<int>(Part::kTrain)];
  const std::unique_ptr<TableReader> reader = ConcatenateTables(files, train, columns);
  TORII_ASSIGN_OR_RETURN(const std::optional<TableChunk> first, reader->Next());
  if (!first.has_value()) {
    return DataError(absl::StrCat(train.front().path, ": no rows"));
  }
  if (types.user == DETECT) {
    TORII_ASSIGN_OR_RETURN(types.user, DetectIdType(ColumnOf(*first, 0, columns[0])));
  }
  if (types.item == DETECT) {
    TORII_ASSIGN_OR_RETURN(types.item, DetectIdType(ColumnOf(*first, 1, columns[1])));
  }
  return types;
}

absl::StatusOr<InteractionCounts> ReadInteractions(
    FileSystem& files, const InteractionFiles& config, const InteractionInputs& inputs,
    const ReadInteractionsOptions& options, IdMap* users, IdMap* items, InteractionSpill* spill) {
  Coder coder(config, options, users, items);
  const Stopwatch watch;
  int64_t next_progress = kProgressRows;
  for (int p = 0; p < kNumParts; ++p) {
    const std::unique_ptr<TableReader> reader =
        ReadAhead(ConcatenateTables(files, inputs.of_part[p], coder.plan().names), kChunksAhead);
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
