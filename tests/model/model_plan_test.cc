#include "model/model_plan.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "model/model_rules.h"

namespace torii::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ModelConfig Parse(const std::string& text) {
  ModelConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

SideShape Users() {
  return {100, {{"city", FeatureShape::kSingle, 20}, {"age", FeatureShape::kDense, 0, 2}}};
}
SideShape Items() {
  return {50,
          {{"genres", FeatureShape::kBag, 9},
           {"image", FeatureShape::kDense, 0, 16, true},
           {"year", FeatureShape::kDense, 0, 3}}};
}

std::vector<std::string> Names(const ModelPlan& plan) {
  std::vector<std::string> names;
  for (const TableShape& table : plan.tables) names.push_back(table.name);
  return names;
}

std::string ErrorOf(const std::string& text) {
  const auto plan = MakePlan(Parse(text), Users(), Items());
  EXPECT_FALSE(plan.ok()) << text;
  if (plan.ok()) return "";
  EXPECT_EQ(ExitCodeOf(plan.status()), ExitCode::kConfig);
  return std::string(plan.status().message());
}

std::vector<std::string> BrokenRules(const ModelConfig& config) {
  const ConfigRules rules("model");
  Validate(config, rules);
  std::vector<std::string> texts;
  for (const BrokenRule& rule : rules.broken()) texts.push_back(rule.Text());
  return texts;
}

TEST(ModelPlanTest, UsesEverythingByDefault) {
  const auto plan = MakePlan(Parse("dim: 8 user { history {} }"), Users(), Items());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(Names(*plan), ElementsAre("item_id", "user_id", "user.city", "item.genres"));
  EXPECT_EQ(plan->item_id_table, 0);
  EXPECT_EQ(plan->tables[0].rows, 50);
  EXPECT_EQ(plan->tables[1].rows, 100);
  EXPECT_EQ(plan->tables[2].rows, 20);
  EXPECT_EQ(plan->tables[3].dim, 8);
  ASSERT_EQ(plan->user.sources.size(), 4u);
  EXPECT_EQ(plan->user.sources[1].kind, TowerSource::kHistory);
  EXPECT_EQ(plan->user.sources[1].table, 0);  // shares the item table
  EXPECT_EQ(plan->user.sources[3].kind, TowerSource::kDense);
  EXPECT_EQ(plan->user.sources[3].table, -1);
  EXPECT_EQ(plan->user.joined_width, 8 + 8 + 8 + 2);
  EXPECT_EQ(plan->item.sources[2].kind, TowerSource::kVector);
  EXPECT_EQ(plan->item.joined_width, 8 + 8 + 8 + 3);
  EXPECT_TRUE(plan->user.has_linear_head);
}

TEST(ModelPlanTest, SumNeedsNoHeadUnlessThereIsATrunk) {
  const auto flat = MakePlan(Parse("dim: 8 user { join { sum {} } }"), Users(), Items());
  ASSERT_TRUE(flat.ok()) << flat.status();
  EXPECT_EQ(flat->user.joined_width, 8);
  EXPECT_FALSE(flat->user.has_linear_head);
  for (const char* trunk : {"user { join { sum {} } trunk { mlp { hidden: 4 } } }",
                            "user { join { sum {} } trunk { residual {} } }",
                            "user { join { sum {} } } item { join { sum {} } } shared_trunk {}"}) {
    const auto deep = MakePlan(Parse(absl::StrCat("dim: 8 ", trunk)), Users(), Items());
    ASSERT_TRUE(deep.ok()) << deep.status();
    EXPECT_TRUE(deep->user.has_linear_head);
  }
}

TEST(ModelPlanTest, TrunkDecidesTheWidth) {
  const auto width = [](const char* trunk) {
    const auto plan =
        MakePlan(Parse(absl::StrCat("dim: 8 user { trunk { ", trunk, " } }")), Users(), Items());
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan->user.trunk_width;
  };
  EXPECT_EQ(width(""), 8 + 8 + 2);
  EXPECT_EQ(width("mlp { hidden: [5, 3] }"), 3);
  EXPECT_EQ(width("residual {}"), 8);
  EXPECT_EQ(width("residual { width: 20 hidden: 3 }"), 20);
}

TEST(ModelPlanTest, ChoosesNamedFeaturesInTheOrderOfTheData) {
  const auto plan =
      MakePlan(Parse("item { feature: ['year', 'genres'] use_id: false embedding_dim: 4 }"
                     "user { no_features: true history { share_item_table: false } }"),
               Users(), Items());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(Names(*plan), ElementsAre("user_id", "history", "item.genres"));
  EXPECT_EQ(plan->item_id_table, -1);
  EXPECT_EQ(plan->tables[1].rows, 50);
  ASSERT_EQ(plan->item.sources.size(), 2u);
  EXPECT_EQ(plan->item.sources[0].feature, 0);
  EXPECT_EQ(plan->item.sources[1].feature, 2);
  EXPECT_EQ(plan->item.joined_width, 4 + 3);
}

TEST(ModelPlanTest, SharedHistoryHasTheWidthOfTheItemTable) {
  const auto plan =
      MakePlan(Parse("dim: 8 item { embedding_dim: 4 } user { no_features: true history {} }"),
               Users(), Items());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->user.sources[1].width, 4);
  EXPECT_EQ(plan->user.joined_width, 8 + 4);
}

TEST(ModelPlanTest, ExplainsEachMistake) {
  EXPECT_THAT(ErrorOf("item { feature: 'genre' }"), HasSubstr("did you mean 'genres'?"));
  EXPECT_THAT(ErrorOf("user { feature: 'zip' }"), HasSubstr("city, age"));
  EXPECT_THAT(ErrorOf("item { use_id: false no_features: true }"),
              HasSubstr("item tower has no input"));
  EXPECT_THAT(ErrorOf("dim: 8 user { join { sum {} } embedding_dim: 4 }"),
              HasSubstr("model.user.embedding_dim: is 4"));
  EXPECT_THAT(ErrorOf("dim: 8 item { embedding_dim: 4 } user { join { sum {} } history {} }"),
              HasSubstr("model.item.embedding_dim = 4"));
  EXPECT_THAT(ErrorOf("dim: 8 user { join { sum {} } history { gru { hidden: 5 } } }"),
              HasSubstr("'history' gives 5"));
  EXPECT_THAT(ErrorOf("dim: 8 user { head { none {} } }"), HasSubstr("the trunk gives 18"));
  EXPECT_THAT(ErrorOf("dim: 8 shared_trunk { residual {} }"),
              HasSubstr("the user tower brings 18 floats to it, the item tower 27"));
  EXPECT_THAT(ErrorOf("item { history {} }"), HasSubstr("model.item.history"));
  EXPECT_THAT(ErrorOf("user { history {} } item { use_id: false }"), HasSubstr("share_item_table"));
}

TEST(ModelPlanTest, ValidateReportsEveryViolatedRule) {
  EXPECT_THAT(BrokenRules(ModelConfig()), IsEmpty());
  EXPECT_THAT(
      BrokenRules(
          Parse("dim: 0 user { trunk { mlp { dropout: 1 hidden: [4, 0] } } embedding_dim: -1 "
                "feature: ['a', 'a'] no_features: true "
                "history { length: 0 recency { half_life: 0 } } } "
                "scorer { inner_product { temperature: 0 } }")),
      ElementsAre(
          HasSubstr("model.dim: must be at least 1 (common are 32, 64 and 128), not 0"),
          HasSubstr("model.user.trunk.mlp.hidden[1]: must be"),
          HasSubstr("model.user.trunk.mlp.dropout: must be"),
          HasSubstr("model.user.embedding_dim: must be"), HasSubstr("model.user.no_features"),
          HasSubstr("model.user.feature[1]: 'a' is there twice"),
          HasSubstr("history.length: must be"), HasSubstr("history.recency.half_life: must be"),
          HasSubstr("model.scorer.inner_product.temperature: must be")));
  EXPECT_THAT(BrokenRules(Parse("scorer { inner_product { temperature: nan } }")),
              ElementsAre(HasSubstr("inner_product.temperature")));
  EXPECT_THAT(BrokenRules(Parse(
                  "scorer { inner_product { temperature: 0.005 learned_temperature: true } }")),
              ElementsAre(HasSubstr("must be at least 0.01 to be learned")));
  EXPECT_THAT(BrokenRules(Parse("scorer { mlp {} } loss { symmetric {} }")),
              ElementsAre(HasSubstr("model.loss.symmetric: needs an inner product")));
  EXPECT_THAT(BrokenRules(Parse("scorer { mlp { hidden: 0 } }")),
              ElementsAre(HasSubstr("model.scorer.mlp.hidden[0]: must be")));
  EXPECT_THAT(BrokenRules(Parse("item { trunk { mlp { dropout: nan } } }")),
              ElementsAre(HasSubstr("model.item.trunk.mlp.dropout")));
  EXPECT_THAT(
      BrokenRules(Parse("user { history { gru { hidden: -1 } } } "
                        "shared_trunk { residual { blocks: 0 width: -1 hidden: -2 } }")),
      ElementsAre(HasSubstr("model.user.history.gru.hidden: must be"),
                  HasSubstr("model.shared_trunk.residual.blocks: must be"),
                  HasSubstr("residual.width: must be"), HasSubstr("residual.hidden: must be")));
}

TEST(ModelPlanTest, DefaultKindsAreWrittenDown) {
  ModelConfig config = Parse("user { history {} } item { trunk { residual {} } }");
  FillDefaultKinds(&config);
  EXPECT_TRUE(config.user().join().has_concat());
  EXPECT_TRUE(config.user().trunk().has_mlp());
  EXPECT_TRUE(config.user().history().has_mean());
  EXPECT_TRUE(config.item().trunk().has_residual());
  EXPECT_FALSE(config.item().has_history());
  EXPECT_FALSE(config.has_shared_trunk());
  EXPECT_TRUE(config.scorer().has_inner_product());
}

}  // namespace
}  // namespace torii::model
