#include "launch/config/validate_config.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "launch/config/config_override.h"
#include "launch/config/load_config.h"
#include "model/loss/loss.h"
#include "sampler/source.h"

namespace torii::launch {
namespace {

// A configuration without faults, and `assignments` on top.
RunConfig Config(const std::vector<std::string>& assignments) {
  RunConfig config;
  EXPECT_TRUE(ParseConfigText(R"(
    data {
      interactions { path: "a.parquet" time: "t" }
      users { path: "u.parquet" id: "user_id" feature { column: "city" categorical {} } }
      split { last_k: 1 valid: true }
    })",
                              "test", &config)
                  .ok());
  for (const std::string& assignment : assignments) {
    EXPECT_TRUE(ApplyOverride(assignment, &config).ok()) << assignment;
  }
  FillDefaults(&config);
  return config;
}

std::vector<std::string> BrokenRules(const RunConfig& config) {
  const ConfigRules rules;
  Validate(config, rules);
  std::vector<std::string> texts;
  for (const BrokenRule& rule : rules.broken()) texts.push_back(rule.Text());
  return texts;
}

// How many broken rules begin with `field`.
int64_t Broken(const RunConfig& config, const std::string& field) {
  const std::vector<std::string> rules = BrokenRules(config);
  return std::count_if(rules.begin(), rules.end(),
                       [&](const std::string& rule) { return rule.starts_with(field); });
}

TEST(ValidateConfigTest, AcceptsASoundConfiguration) {
  const absl::Status status = ValidateConfig(Config({}));
  EXPECT_TRUE(status.ok()) << status;
}

TEST(ValidateConfigTest, EveryFolderHasItsSay) {
  const RunConfig config =
      Config({"data.filters.min_user_interactions=-1", "model.scorer.inner_product.temperature=0",
              "sampler.uniform=-1", "tables.learning_rate=-1", "train.epochs=0", "eval.k=[0]"});
  for (const char* field : {"data.", "model.", "sampler.", "tables.", "train.", "eval."}) {
    EXPECT_GE(Broken(config, field), 1) << field;
  }
}

TEST(ValidateConfigTest, ReportsAllRulesInOneError) {
  const absl::Status status = ValidateConfig(Config(
      {"model.scorer.inner_product.temperature=0", "train.epochs=0", "train.best_metric=auc@10"}));
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  const std::string message(status.message());
  EXPECT_EQ(message.find("the configuration breaks 3 rules\n"), 0u) << message;
  for (const char* part :
       {"model.scorer.inner_product.temperature", "train.epochs", "train.best_metric"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part;
  }
}

TEST(ValidateConfigTest, ChecksTheFormOfTheBestMetric) {
  EXPECT_EQ(Broken(Config({"train.best_metric=mrr"}), "train.best_metric"), 0);
  EXPECT_EQ(Broken(Config({"train.best_metric=recall@10"}), "train.best_metric"), 0);
  EXPECT_EQ(Broken(Config({"train.best_metric=recall"}), "train.best_metric"), 1);
  EXPECT_EQ(Broken(Config({"train.best_metric=recall@"}), "train.best_metric"), 1);
  EXPECT_EQ(Broken(Config({"train.best_metric=recal@10"}), "train.best_metric"), 1);
  EXPECT_EQ(Broken(Config({"train.best_metric=recall@11"}), "train.best_metric"), 1);
  EXPECT_EQ(Broken(Config({"train.best_metric=recall@11", "eval.k=[11]"}), "train.best_metric"), 0);
}

TEST(ValidateConfigTest, PartsToEvaluateMustExist) {
  EXPECT_EQ(Broken(Config({"eval.part=VALID"}), "eval.part"), 0);
  EXPECT_EQ(Broken(Config({"eval.part=VALID", "data.split.valid=false"}), "eval.part"), 1);
  EXPECT_EQ(Broken(Config({"eval.part=TEST", "data.split="}), "eval.part"), 1);
  EXPECT_EQ(Broken(Config({"eval.part=TEST", "data.split=", "data.test_path=x"}), "eval.part"), 0);
}

// "sampler.uniform=5"
std::string TurnOn(const std::string& source) {
  const auto* field = sampler::SamplerConfig::descriptor()->FindFieldByName(source);
  using google::protobuf::FieldDescriptor;
  const bool is_number = field->cpp_type() == FieldDescriptor::CPPTYPE_INT64;
  const bool is_message = field->message_type() != nullptr;
  return absl::StrCat("sampler.", source, is_number ? "=5" : is_message ? "={}" : "=true");
}

// Every loss beside every source but the batch, which is on by default.
TEST(ValidateConfigTest, SourcesOfNegativesMustFitTheLoss) {
  const auto& losses = *model::LossConfig::descriptor()->FindOneofByName("kind");
  int without_columns = 0;
  for (int i = 0; i < losses.field_count(); ++i) {
    const std::string loss(losses.field(i)->name()), chosen = "model.loss." + loss + "={}";
    EXPECT_EQ(Broken(Config({chosen}), ""), 0) << loss;
    const bool all_columns = model::NeedsOf(Config({chosen}).model().loss()).all_columns;
    without_columns += !all_columns;
    for (const std::string& source : sampler::SourceNames()) {
      if (source == "in_batch") continue;
      EXPECT_EQ(Broken(Config({chosen, TurnOn(source)}), "sampler." + source), all_columns ? 0 : 1)
          << loss << ", " << source;
    }
  }
  EXPECT_GT(without_columns, 1);
}

TEST(ValidateConfigTest, TheSymmetricLossNeedsTheSameColumnsOnAllRanks) {
  const std::string local = "sampler.in_batch=LOCAL", symmetric = "model.loss.symmetric={}";
  EXPECT_EQ(Broken(Config({local}), "sampler."), 0);
  EXPECT_EQ(Broken(Config({symmetric}), "sampler."), 0);
  EXPECT_EQ(Broken(Config({local, symmetric}), "sampler.in_batch"), 1);
}

TEST(ValidateConfigTest, UncorrectedSourcesMustExist) {
  const std::string known = "model.loss.softmax={ uncorrected: ['in_batch', 'popularity'] }";
  EXPECT_EQ(Broken(Config({known}), ""), 0);
  EXPECT_EQ(BrokenRules(Config({"model.loss.softmax={ uncorrected: 'in-batch' }"})),
            (std::vector<std::string>{absl::StrCat(
                "model.loss.softmax.uncorrected[0]: 'in-batch' is not a source of negatives (did "
                "you mean 'in_batch'?); sources are ",
                absl::StrJoin(sampler::SourceNames(), ", "))}));
  EXPECT_EQ(Broken(Config({"model.loss.symmetric={ softmax { uncorrected: 'x' } }"}),
                   "model.loss.symmetric.softmax.uncorrected[0]"),
            1);
}

TEST(ValidateConfigTest, PatienceNeedsEvaluations) {
  EXPECT_EQ(Broken(Config({"train.patience=2"}), "train.patience"), 0);
  EXPECT_EQ(Broken(Config({"train.patience=2", "train.eval_every_epochs=0"}), "train.patience"), 1);
  EXPECT_EQ(Broken(Config({"train.patience=2", "data.split="}), "train.patience"), 1);
}

TEST(ValidateConfigTest, FeaturesOfATowerMustBeInTheData) {
  EXPECT_EQ(Broken(Config({"model.user.feature=[city]"}), "model.user.feature"), 0);
  const std::vector<std::string> rules = BrokenRules(Config({"model.user.feature=[cty]"}));
  ASSERT_EQ(rules.size(), 1u);
  EXPECT_EQ(rules[0],
            "model.user.feature[0]: 'cty' is not a feature of data.users (did you mean 'city'?); "
            "it has city");
  EXPECT_EQ(Broken(Config({"model.item.feature=[x]"}), "model.item.feature"), 1);
}

TEST(ValidateConfigTest, ATowerNeedsAnInput) {
  EXPECT_EQ(Broken(Config({"model.user.use_id=false"}), "model.user: has no input"), 0);
  EXPECT_EQ(Broken(Config({"model.user.use_id=false", "model.user.no_features=true"}),
                   "model.user: has no input"),
            1);
  EXPECT_EQ(Broken(Config({"model.item.use_id=false"}), "model.item: has no input"), 1);
}

TEST(ValidateConfigTest, EachRuleSaysWhereItsFieldWasGiven) {
  ConfigLocations locations;
  RunConfig config;
  ASSERT_TRUE(ParseConfigText("data { interactions { path: 'a' } split { last_k: 1 } }\n"
                              "train {\n  epochs: 0\n  checkpoint { keep: 0 } }\n"
                              "eval { k: [10,\n 0] }",
                              "my.txtpb", &config, &locations)
                  .ok());
  ASSERT_TRUE(ApplyOverrides({"train.dense={beta1: 2}"}, &config, &locations).ok());
  config.mutable_train()->set_best_metric("mrr");
  config.mutable_data()->set_sort_buffer_rows(0);
  FillDefaults(&config);

  EXPECT_EQ(ValidateConfig(config, locations).message(),
            "the configuration breaks 5 rules\n"
            "  data.sort_buffer_rows: must be at least 1, not 0\n"
            "  my.txtpb:3:3: train.epochs: must be at least 1, not 0\n"
            "  my.txtpb:4:16: train.checkpoint.keep: must be at least 1, not 0\n"
            "  --set train.dense={beta1: 2}: train.dense.beta1: must be in [0, 1), not 2\n"
            "  my.txtpb:5:8: eval.k[1]: must be at least 1, not 0");
}

TEST(ValidateConfigTest, FoldersMustDiffer) {
  EXPECT_EQ(Broken(Config({"run_dir=x", "data.prepared_dir=x"}), "data.prepared_dir"), 1);
  EXPECT_EQ(Broken(Config({"run_dir="}), "run_dir"), 1);
}

}  // namespace
}  // namespace torii::launch
