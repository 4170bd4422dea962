#include "model/model_plan.h"

#include <string>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

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
  EXPECT_TRUE(plan->user.has_final_linear);
}

TEST(ModelPlanTest, SumNeedsNoFinalLinearUnlessThereAreHiddenLayers) {
  const auto flat = MakePlan(Parse("dim: 8 user { combine: SUM }"), Users(), Items());
  ASSERT_TRUE(flat.ok()) << flat.status();
  EXPECT_EQ(flat->user.joined_width, 8);
  EXPECT_FALSE(flat->user.has_final_linear);
  const auto deep = MakePlan(Parse("dim: 8 user { combine: SUM hidden: [4] }"), Users(), Items());
  ASSERT_TRUE(deep.ok()) << deep.status();
  EXPECT_TRUE(deep->user.has_final_linear);
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
  EXPECT_THAT(ErrorOf("dim: 8 user { combine: SUM embedding_dim: 4 }"),
              HasSubstr("embedding_dim = 4"));
  EXPECT_THAT(ErrorOf("dim: 8 item { embedding_dim: 4 } user { combine: SUM history {} }"),
              HasSubstr("model.item.embedding_dim = 4"));
  EXPECT_THAT(ErrorOf("item { history {} }"), HasSubstr("model.item.history"));
  EXPECT_THAT(ErrorOf("user { history {} } item { use_id: false }"), HasSubstr("share_item_table"));
}

TEST(ModelPlanTest, ValidateReportsEveryViolatedRule) {
  EXPECT_THAT(Validate(ModelConfig()), IsEmpty());
  EXPECT_THAT(
      Validate(Parse("dim: 0 temperature: 0 user { dropout: 1 hidden: [4, 0] embedding_dim: -1 "
                     "feature: ['a', 'a'] no_features: true history { length: 0 half_life: 0 } }")),
      ElementsAre(HasSubstr("model.dim = 0"), HasSubstr("model.temperature = 0"),
                  HasSubstr("model.user.hidden[1] = 0"), HasSubstr("model.user.dropout = 1"),
                  HasSubstr("model.user.embedding_dim = -1"), HasSubstr("model.user.no_features"),
                  HasSubstr("'a' twice"), HasSubstr("history.length = 0"),
                  HasSubstr("history.half_life = 0")));
  EXPECT_THAT(Validate(Parse("temperature: nan")), ElementsAre(HasSubstr("model.temperature")));
  EXPECT_THAT(Validate(Parse("item { dropout: nan }")),
              ElementsAre(HasSubstr("model.item.dropout")));
}

}  // namespace
}  // namespace torii::model
