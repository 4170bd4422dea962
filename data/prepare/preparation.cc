#include "data/prepare/preparation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/stopwatch.h"
#include "data/array_file.h"

namespace torii::data {

Preparation::Preparation(FileSystem& files, const DataConfig& config, const DataInputs& inputs,
                         std::string folder, std::string scratch, bool verbose)
    : files_(files),
      config_(config),
      inputs_(inputs),
      folder_(std::move(folder)),
      scratch_(std::move(scratch)),
      verbose_(verbose),
      spill_(files, JoinPath(scratch_, "interactions"), config.sort_buffer_rows()) {
  users_.options = {
      .side = SideKind::kUsers,
      .id_column = config.users().id().empty() ? config.interactions().user() : config.users().id(),
      .id_type_field = "data.interactions.user_type",
      .scratch_folder = scratch_};
  items_.options = {
      .side = SideKind::kItems,
      .id_column = config.items().id().empty() ? config.interactions().item() : config.items().id(),
      .id_type_field = "data.interactions.item_type",
      .scratch_folder = scratch_};
}

absl::StatusOr<PreparedDataset> Preparation::Run() {
  const Stopwatch watch;
  TORII_RETURN_IF_ERROR(ReadSides());
  TORII_RETURN_IF_ERROR(ReadAllInteractions());
  TORII_RETURN_IF_ERROR(FilterAndSplit());
  TORII_RETURN_IF_ERROR(SortAndWriteParts());
  TORII_RETURN_IF_ERROR(WriteItems());
  TORII_RETURN_IF_ERROR(WriteSides());
  if (verbose_) {
    TORII_INFO("prepared ", result_.train_rows(), " training, ", result_.valid_rows(),
               " validation and ", result_.test_rows(), " test interactions of ",
               result_.users().rows(), " users and ", result_.items().rows(), " items in ",
               watch.seconds(), " s");
  }
  return std::move(result_);
}

absl::Status Preparation::ReadSide(const SideFile& config, const std::vector<InputFile>& inputs,
                                   SideState* side) {
  if (inputs.empty()) {
    return absl::OkStatus();
  }
  TORII_ASSIGN_OR_RETURN(side->table,
                         ReadSideTable(files_, config, inputs, side->options, &*side->ids));
  if (verbose_) {
    TORII_INFO("read ", side->table.rows, " ", std::string(SideName(side->options.side)));
  }
  return absl::OkStatus();
}

absl::Status Preparation::ReadSides() {
  TORII_ASSIGN_OR_RETURN(const IdTypes types,
                         FindIdTypes(files_, config_.interactions(), inputs_.interactions));
  users_.ids.emplace(types.user);
  items_.ids.emplace(types.item);
  TORII_RETURN_IF_ERROR(ReadSide(config_.users(), inputs_.users, &users_));
  return ReadSide(config_.items(), inputs_.items, &items_);
}

IdPolicy Preparation::PolicyOf(bool has_file, const SideFile& config,
                               const std::string& field) const {
  IdPolicy policy;
  policy.may_add = !has_file || config.missing() == ALLOW;
  policy.field = field;
  for (const std::string& path : config.path()) {
    policy.side_files += (policy.side_files.empty() ? "" : ", ") + path;
  }
  return policy;
}

absl::Status Preparation::ReadAllInteractions() {
  ReadInteractionsOptions options;
  options.users = PolicyOf(config_.has_users(), config_.users(), "data.users");
  options.items = PolicyOf(config_.has_items(), config_.items(), "data.items");
  options.verbose = verbose_;
  TORII_ASSIGN_OR_RETURN(
      counts_, ReadInteractions(files_, config_.interactions(), inputs_.interactions, options,
                                &*users_.ids, &*items_.ids, &spill_));
  const std::string& first = inputs_.interactions.of_part[0].front().path;
  if (counts_.read_rows == 0) {
    return DataError(absl::StrCat(first, ": no rows"));
  }
  if (spill_.rows() == 0) {
    return DataError(absl::StrCat(first, ": none of ", counts_.read_rows,
                                  " rows has a rating >= min_rating ",
                                  config_.interactions().min_rating()));
  }
  result_.set_read_rows(counts_.read_rows);
  result_.set_dropped_by_rating(counts_.dropped_by_rating);
  return absl::OkStatus();
}

absl::Status Preparation::CountParts() {
  std::vector<int64_t> to_split(static_cast<size_t>(users_.ids->size()));
  users_.train_counts.assign(to_split.size(), 0);
  TORII_RETURN_IF_ERROR(spill_.ForEach([&](InteractionBlock block) {
    for (const Interaction& row : block) {
      if (!kept_.Keeps(row)) {
        continue;
      }
      if (!rule_.by_row() && row.part == Part::kTrain) {
        ++to_split[static_cast<size_t>(row.user)];
        continue;
      }
      const Part part = rule_.PartOf(row);
      ++parts_.sizes.of_part[static_cast<int>(part)];
      users_.train_counts[static_cast<size_t>(row.user)] += part == Part::kTrain ? 1 : 0;
    }
    return absl::OkStatus();
  }));
  for (size_t user = 0; user < to_split.size() && !rule_.by_row(); ++user) {
    const PartSizes sizes = rule_.SizesFor(to_split[user]);
    users_.train_counts[user] = sizes.of_part[static_cast<int>(Part::kTrain)];
    for (int p = 0; p < kNumParts; ++p) {
      parts_.sizes.of_part[p] += sizes.of_part[p];
    }
  }
  return absl::OkStatus();
}

absl::Status Preparation::FilterAndSplit() {
  TORII_ASSIGN_OR_RETURN(
      kept_, FilterByCounts(spill_, config_.filters(), users_.ids->size(), items_.ids->size()));
  result_.set_dropped_by_filters(kept_.dropped_rows);
  if (kept_.dropped_rows == spill_.rows()) {
    return DataError(absl::StrCat(
        "data.filters: none of ", spill_.rows(), " interactions remain with min_user_interactions ",
        config_.filters().min_user_interactions(), " and min_item_interactions ",
        config_.filters().min_item_interactions()));
  }
  TORII_ASSIGN_OR_RETURN(rule_, SplitRule::Make(config_, spill_, kept_, counts_.time_kind));
  TORII_RETURN_IF_ERROR(CountParts());
  result_.set_train_rows(parts_.sizes.of_part[static_cast<int>(Part::kTrain)]);
  result_.set_valid_rows(parts_.sizes.of_part[static_cast<int>(Part::kValid)]);
  result_.set_test_rows(parts_.sizes.of_part[static_cast<int>(Part::kTest)]);
  if (result_.train_rows() == 0) {
    return DataError(absl::StrCat(inputs_.interactions.of_part[0].front().path,
                                  ": no training interactions are left; ", result_.test_rows(),
                                  " are held out for testing and ", result_.valid_rows(),
                                  " for validation"));
  }
  return absl::OkStatus();
}

absl::Status Preparation::SortAndWriteParts() {
  users_.order = OrderRows(*users_.ids, users_.train_counts, kept_.users);
  const std::vector<int32_t> user_rows = RowsOfCodes(users_.order, users_.ids->size());
  TORII_ASSIGN_OR_RETURN(SortedInteractions sorted,
                         SortedInteractions::Sort(files_, &spill_, kept_, user_rows,
                                                  {.runs_path = JoinPath(scratch_, "runs"),
                                                   .buffer_rows = config_.sort_buffer_rows()}));
  parts_.folder = folder_;
  parts_.scratch = scratch_;
  parts_.has_time = !config_.interactions().time().empty();
  parts_.has_weight =
      !config_.interactions().weight().empty() || config_.interactions().rating_as_weight();
  parts_.time_kind = counts_.time_kind;
  parts_.users = static_cast<int64_t>(users_.order.size());
  parts_.item_codes = items_.ids->size();
  result_.set_has_time(parts_.has_time);
  result_.set_has_weight(parts_.has_weight);
  TORII_ASSIGN_OR_RETURN(WrittenParts written, WriteParts(files_, parts_, rule_, &sorted));
  Add(written.files);
  items_.train_counts = std::move(written.train_counts);
  if (written.pairs_in_train_too > 0) {
    TORII_WARNING(written.pairs_in_train_too,
                  " held-out interactions repeat a (user, item) pair of the training part; an "
                  "evaluation that masks training items cannot find them");
  }
  return absl::OkStatus();
}

absl::Status Preparation::WriteItems() {
  items_.order = OrderRows(*items_.ids, items_.train_counts, kept_.items);
  const std::vector<int32_t> item_rows = RowsOfCodes(items_.order, items_.ids->size());
  TORII_ASSIGN_OR_RETURN(const std::vector<PreparedFile> written,
                         WriteItemRows(files_, parts_, item_rows));
  Add(written);
  TORII_ASSIGN_OR_RETURN(
      BufferedFile counts,
      BufferedFile::CreateArray(files_, JoinPath(folder_, kItemCountsFile), ArrayType::kInt64,
                                static_cast<int64_t>(items_.order.size())));
  for (const int32_t code : items_.order) {
    TORII_RETURN_IF_ERROR(counts.AppendValue(items_.train_counts[static_cast<size_t>(code)]));
  }
  TORII_ASSIGN_OR_RETURN(*result_.add_file(), counts.Finish());
  return absl::OkStatus();
}

absl::Status Preparation::WriteSideArrays(const SideState& state, Side* side) {
  TORII_ASSIGN_OR_RETURN(WrittenSide written, WriteSide(files_, folder_, state.options, *state.ids,
                                                        state.order, state.table));
  Add(written.files);
  *side = std::move(written.side);
  side->set_cold_rows(std::count_if(state.order.begin(), state.order.end(), [&](int32_t code) {
    return state.train_counts[static_cast<size_t>(code)] == 0;
  }));
  return absl::OkStatus();
}

absl::Status Preparation::WriteSides() {
  TORII_RETURN_IF_ERROR(WriteSideArrays(users_, result_.mutable_users()));
  return WriteSideArrays(items_, result_.mutable_items());
}

void Preparation::Add(const std::vector<PreparedFile>& written) {
  for (const PreparedFile& file : written) {
    *result_.add_file() = file;
  }
}

}  // namespace torii::data
