#include "data/prepare/preparation.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/stopwatch.h"
#include "data/array_file.h"
#include "data/prepare/repeats.h"
#include "data/rows/row_weights.h"

namespace torii::data {

Preparation::Preparation(FileSystem& files, const DataConfig& config, const DataInputs& inputs,
                         std::string folder, std::string scratch, bool verbose)
    : files_(files),
      config_(config),
      inputs_(inputs),
      verbose_(verbose),
      spill_(std::make_unique<InteractionSpill>(files, JoinPath(scratch, "interactions"),
                                                config.sort_buffer_rows())) {
  parts_.folder = std::move(folder);
  parts_.scratch = std::move(scratch);
  const InteractionFiles& interactions = config.interactions();
  users_.options.side = SideKind::kUsers;
  users_.options.id_column = IdColumnOf(config.users(), interactions.user());
  users_.options.scratch_folder = parts_.scratch;
  items_.options.side = SideKind::kItems;
  items_.options.id_column = IdColumnOf(config.items(), interactions.item());
  items_.options.scratch_folder = parts_.scratch;
}

namespace {

// ", 2 dropped by rating" for each rule that dropped rows.
std::string DescribeDrops(const PreparedDataset& dataset) {
  std::string text;
  const auto add = [&](int64_t rows, const char* rule) {
    if (rows > 0) {
      absl::StrAppend(&text, ", ", rows, " dropped ", rule);
    }
  };
  add(dataset.dropped_by_where(), "by where");
  add(dataset.dropped_by_rating(), "by rating");
  add(dataset.dropped_without_id(), "without id");
  add(dataset.dropped_as_bad(), "as bad rows");
  add(dataset.dropped_by_repeats(), "by repeats");
  add(dataset.dropped_by_filters(), "by filters");
  return text;
}

}  // namespace

// Every row that was read is kept or dropped by one rule.
std::string DescribeRows(const PreparedDataset& dataset) {
  const int64_t kept = dataset.train_rows() + dataset.valid_rows() + dataset.test_rows();
  return absl::StrCat(dataset.read_rows(), " rows read, ", kept, " kept", DescribeDrops(dataset));
}

absl::StatusOr<PreparedDataset> Preparation::Run() {
  const Stopwatch watch;
  TORII_RETURN_IF_ERROR(ReadSides());
  TORII_RETURN_IF_ERROR(ReadAllInteractions());
  TORII_RETURN_IF_ERROR(ResolveRepeats());
  TORII_RETURN_IF_ERROR(FilterAndSplit());
  TORII_RETURN_IF_ERROR(SortAndWriteParts());
  TORII_RETURN_IF_ERROR(WriteItems());
  TORII_RETURN_IF_ERROR(WriteSides());
  if (verbose_) {
    TORII_INFO(DescribeRows(result_));
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
  TORII_ASSIGN_OR_RETURN(survey_, SurveyFiles(files_, config_, inputs_, verbose_));
  users_.options.ids = survey_.users;
  items_.options.ids = survey_.items;
  users_.ids.emplace(survey_.users.type);
  items_.ids.emplace(survey_.items.type);
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
  options.rejected_path = JoinPath(parts_.folder, kRejectedName);
  options.verbose = verbose_;
  TORII_ASSIGN_OR_RETURN(
      const InteractionCounts counts,
      ReadInteractions(files_, config_.interactions(), inputs_.interactions, survey_, options,
                       &*users_.ids, &*items_.ids, spill_.get()));
  result_.set_read_rows(counts.read_rows);
  result_.set_dropped_by_where(counts.dropped.by_where);
  result_.set_dropped_by_rating(counts.dropped.by_rating);
  result_.set_dropped_without_id(counts.dropped.without_id);
  result_.set_dropped_as_bad(counts.bad_rows);
  if (counts.bad_rows > 0) {
    TORII_WARNING(counts.bad_rows, " bad rows are skipped; ", kRejectedName,
                  " in the prepared folder lists them");
  }
  const std::string& first = inputs_.interactions.of_part[0].front().path;
  if (counts.read_rows == 0) {
    return DataError(absl::StrCat(first, ": no rows"));
  }
  if (spill_->rows() == 0) {
    return DataError(absl::StrCat(first, ": none of ", counts.read_rows, " rows is kept",
                                  DescribeDrops(result_)));
  }
  return absl::OkStatus();
}

absl::Status Preparation::ResolveRepeats() {
  const Filters::Repeats keep = config_.filters().repeats();
  if (keep == Filters::KEEP) {
    return absl::OkStatus();
  }
  auto rest = std::make_unique<InteractionSpill>(
      files_, JoinPath(parts_.scratch, "without_repeats"), config_.sort_buffer_rows());
  TORII_ASSIGN_OR_RETURN(const int64_t dropped,
                         DropRepeats(files_,
                                     {.keep = keep,
                                      .users = users_.ids->size(),
                                      .items = items_.ids->size(),
                                      .runs_path = JoinPath(parts_.scratch, "repeats"),
                                      .buffer_rows = config_.sort_buffer_rows()},
                                     spill_.get(), rest.get()));
  result_.set_dropped_by_repeats(dropped);
  spill_ = std::move(rest);
  return absl::OkStatus();
}

absl::StatusOr<SplitFacts> Preparation::CountParts() {
  SplitFacts facts;
  std::vector<int64_t> to_split(static_cast<size_t>(users_.ids->size()));
  users_.train_counts.assign(to_split.size(), 0);
  int64_t last_key = std::numeric_limits<int64_t>::min();
  TORII_RETURN_IF_ERROR(spill_->ForEach([&](InteractionBlock block) {
    for (const Interaction& row : block) {
      if (!kept_.Keeps(row)) {
        continue;
      }
      last_key = std::max(last_key, row.time);
      to_split[static_cast<size_t>(row.user)] += row.part == Part::kTrain ? 1 : 0;
      if (!rule_.by_row() && row.part == Part::kTrain) {
        continue;
      }
      const Part part = rule_.PartOf(row);
      ++parts_.sizes.of_part[static_cast<int>(part)];
      users_.train_counts[static_cast<size_t>(row.user)] += part == Part::kTrain ? 1 : 0;
    }
    return absl::OkStatus();
  }));
  for (const int64_t rows : to_split) {
    facts.users += rows > 0 ? 1 : 0;
    facts.most_rows = std::max(facts.most_rows, rows);
  }
  for (size_t user = 0; user < to_split.size() && !rule_.by_row(); ++user) {
    const PartSizes sizes = rule_.SizesFor(to_split[user]);
    users_.train_counts[user] = sizes.of_part[static_cast<int>(Part::kTrain)];
    for (int p = 0; p < kNumParts; ++p) {
      parts_.sizes.of_part[p] += sizes.of_part[p];
    }
  }
  facts.last_time = survey_.times.TextOfKey(last_key);
  return facts;
}

void Preparation::WarnOfSplit(const SplitFacts& facts) const {
  for (const Part part : {Part::kTest, Part::kValid}) {
    if (rule_.Cuts(part) && parts_.sizes.of_part[static_cast<int>(part)] == 0) {
      TORII_WARNING(WhyNothingIsHeldOut(config_.split(), part, facts));
    }
  }
  const bool by_order = config_.split().has_last_k() || config_.split().has_last_fraction();
  if (by_order && config_.interactions().time().empty()) {
    TORII_WARNING(
        "data.split holds out the last rows of each user in the order of the files, because "
        "data.interactions.time does not name a column of times; set it if there is one");
  }
}

absl::Status Preparation::FilterAndSplit() {
  TORII_ASSIGN_OR_RETURN(
      kept_, FilterByCounts(*spill_, config_.filters(), users_.ids->size(), items_.ids->size()));
  result_.set_dropped_by_filters(kept_.dropped_rows);
  if (kept_.dropped_rows == spill_->rows()) {
    return DataError(absl::StrCat("data.filters: none of ", spill_->rows(),
                                  " interactions remain with min_user_interactions ",
                                  config_.filters().min_user_interactions(),
                                  " and min_item_interactions ",
                                  config_.filters().min_item_interactions()));
  }
  TORII_ASSIGN_OR_RETURN(rule_, SplitRule::Make(config_, *spill_, kept_, survey_.times));
  TORII_ASSIGN_OR_RETURN(const SplitFacts facts, CountParts());
  result_.set_train_rows(parts_.sizes.of_part[static_cast<int>(Part::kTrain)]);
  result_.set_valid_rows(parts_.sizes.of_part[static_cast<int>(Part::kValid)]);
  result_.set_test_rows(parts_.sizes.of_part[static_cast<int>(Part::kTest)]);
  WarnOfSplit(facts);
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
                         SortedInteractions::Sort(files_, spill_.get(), kept_, user_rows,
                                                  {.runs_path = JoinPath(parts_.scratch, "runs"),
                                                   .buffer_rows = config_.sort_buffer_rows()}));
  parts_.has_time = !config_.interactions().time().empty();
  parts_.has_weight = HasRowWeights(config_.interactions()) ||
                      config_.filters().repeats() == Filters::COUNT_AS_WEIGHT;
  parts_.times = survey_.times;
  parts_.users = static_cast<int64_t>(users_.order.size());
  parts_.item_codes = items_.ids->size();
  result_.set_has_time(parts_.has_time);
  result_.set_time_is_ordinal(parts_.has_time && survey_.times.ordinal());
  result_.set_has_weight(parts_.has_weight);
  TORII_ASSIGN_OR_RETURN(WrittenParts written, WriteParts(files_, parts_, rule_, &sorted));
  Add(written.files);
  items_.train_counts = std::move(written.train_counts);
  if (written.pairs_in_train_too > 0) {
    TORII_WARNING(written.pairs_in_train_too,
                  " held-out interactions repeat a (user, item) pair of the training part; an "
                  "evaluation leaves them out (eval.repeats); data.filters.repeats drops repeats "
                  "here");
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
      BufferedFile::CreateArray(files_, JoinPath(parts_.folder, kItemCountsFile), ArrayType::kInt64,
                                static_cast<int64_t>(items_.order.size())));
  for (const int32_t code : items_.order) {
    TORII_RETURN_IF_ERROR(counts.AppendValue(items_.train_counts[static_cast<size_t>(code)]));
  }
  TORII_ASSIGN_OR_RETURN(*result_.add_file(), counts.Finish());
  return absl::OkStatus();
}

absl::Status Preparation::WriteSideArrays(const SideState& state, Side* side) {
  TORII_ASSIGN_OR_RETURN(WrittenSide written, WriteSide(files_, parts_.folder, state.options,
                                                        *state.ids, state.order, state.table));
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
