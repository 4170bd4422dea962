#include "launch/command/describe.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "data/prepare/preparation.h"
#include "data/prepared_layout.h"
#include "trainer/checkpoint/checkpoint_store.h"

namespace torii::launch {
namespace {

using Json = nlohmann::ordered_json;

std::string KindText(const data::PreparedFeature& feature) {
  switch (feature.kind()) {
    case data::PreparedFeature::BAG:
      return absl::StrCat("lists of values, ", feature.rows(), " embedding rows");
    case data::PreparedFeature::SINGLE:
      return absl::StrCat("one value, ", feature.rows(), " embedding rows");
    case data::PreparedFeature::DENSE:
      return absl::StrCat(feature.vector() ? "vector of " : "numbers, ", feature.width(),
                          feature.width() == 1 ? " float" : " floats");
  }
  return "";
}

std::string DescribeSide(const std::string& name, const data::Side& side) {
  std::string out = absl::StrFormat(
      "%-14s%d (%s ids%s)\n", name, side.rows(),
      side.id_type() == data::INTEGER ? "integer" : "text",
      side.cold_rows() > 0 ? absl::StrFormat(", %d without training interactions", side.cold_rows())
                           : std::string());
  for (const data::PreparedFeature& feature : side.feature()) {
    absl::StrAppendFormat(&out, "  %-20s %s%s\n", feature.name(), KindText(feature),
                          feature.missing() > 0
                              ? absl::StrFormat(", missing in %d", feature.missing())
                              : std::string());
  }
  return out;
}

Json SideJson(const data::Side& side) {
  Json json;
  json["rows"] = side.rows();
  json["id_type"] = data::IdType_Name(side.id_type());
  json["cold_rows"] = side.cold_rows();
  json["features"] = Json::array();
  for (const data::PreparedFeature& feature : side.feature()) {
    json["features"].push_back({{"name", feature.name()},
                                {"kind", data::PreparedFeature::Kind_Name(feature.kind())},
                                {"rows", feature.rows()},
                                {"width", feature.width()},
                                {"missing", feature.missing()}});
  }
  return json;
}

}  // namespace

std::string DescribeDataset(const std::string& folder, const data::PreparedDataset& dataset) {
  std::string out = absl::StrFormat("%-14s%s\n", "prepared", folder);
  absl::StrAppendFormat(&out, "%-14s%d training, %d validation, %d test", "interactions",
                        dataset.train_rows(), dataset.valid_rows(), dataset.test_rows());
  absl::StrAppendFormat(&out, " (%s)\n", data::DescribeRows(dataset));
  absl::StrAppend(&out, DescribeSide("users", dataset.users()),
                  DescribeSide("items", dataset.items()));
  absl::StrAppendFormat(&out, "%-14s%s\n", "digest", data::PreparedContentDigest(dataset));
  return out;
}

Json DatasetJson(const std::string& folder, const data::PreparedDataset& dataset) {
  Json json;
  json["prepared_dir"] = folder;
  json["train_rows"] = dataset.train_rows();
  json["valid_rows"] = dataset.valid_rows();
  json["test_rows"] = dataset.test_rows();
  json["read_rows"] = dataset.read_rows();
  json["dropped_by_where"] = dataset.dropped_by_where();
  json["dropped_by_rating"] = dataset.dropped_by_rating();
  json["dropped_without_id"] = dataset.dropped_without_id();
  json["dropped_as_bad"] = dataset.dropped_as_bad();
  json["dropped_by_repeats"] = dataset.dropped_by_repeats();
  json["dropped_by_filters"] = dataset.dropped_by_filters();
  json["users"] = SideJson(dataset.users());
  json["items"] = SideJson(dataset.items());
  json["digest"] = data::PreparedContentDigest(dataset);
  return json;
}

std::string DescribeCheckpoint(const trainer::CheckpointInfo& info) {
  const trainer::RunPosition position = trainer::PositionOf(info).value_or(trainer::RunPosition());
  const trainer::EarlyStoppingState evaluations =
      trainer::EarlyStoppingOf(info).value_or(trainer::EarlyStoppingState());
  std::string out = absl::StrFormat("%-14s%s\n", "checkpoint", info.path);
  absl::StrAppendFormat(&out, "%-14s%d (epoch %d, step %d in it, %d rows seen)\n", "step",
                        info.step, position.epoch(), position.step_in_epoch(),
                        position.rows_seen());
  if (evaluations.best_step() >= 0) {
    absl::StrAppendFormat(&out, "%-14s%.6f at step %d (%s)\n", "best metric",
                          evaluations.best_value(), evaluations.best_step(), evaluations.measure());
  }
  absl::StrAppendFormat(&out, "%-14s%d\n%-14s%s\n", "written by", info.world_size, "data digest",
                        info.data_digest);
  return out;
}

Json CheckpointJson(const trainer::CheckpointInfo& info) {
  const trainer::RunPosition position = trainer::PositionOf(info).value_or(trainer::RunPosition());
  const trainer::EarlyStoppingState evaluations =
      trainer::EarlyStoppingOf(info).value_or(trainer::EarlyStoppingState());
  Json json;
  json["checkpoint"] = info.path;
  json["step"] = info.step;
  json["epoch"] = position.epoch();
  json["step_in_epoch"] = position.step_in_epoch();
  json["rows_seen"] = position.rows_seen();
  json["best_metric"] =
      evaluations.best_step() >= 0 ? Json(evaluations.best_value()) : Json(nullptr);
  json["best_step"] = evaluations.best_step();
  json["world_size"] = info.world_size;
  json["data_digest"] = info.data_digest;
  return json;
}

std::string DescribeEvaluation(const trainer::Evaluation& evaluation) {
  const int64_t repeats = evaluation.held_out.repeats_left_out;
  return absl::StrCat("on the ", evaluation.part, " part\n",
                      repeats > 0 ? absl::StrCat(repeats,
                                                 " held-out items that their users had "
                                                 "already seen are left out (eval.repeats)\n")
                                  : "",
                      eval::FormatTable(evaluation.model, evaluation.popularity, evaluation.ks));
}

Json EvaluationJson(const trainer::Evaluation& evaluation) {
  Json json;
  json["part"] = evaluation.part;
  json["users"] = evaluation.model.users;
  json["targets"] = evaluation.model.targets;
  json["repeats_left_out"] = evaluation.held_out.repeats_left_out;
  json["k"] = evaluation.ks;
  json["model"] = evaluation.model.values;
  json["popularity"] = evaluation.popularity.values;
  return json;
}

}  // namespace torii::launch
