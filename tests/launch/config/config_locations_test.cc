#include "launch/config/config_locations.h"

#include "gtest/gtest.h"
#include "launch/config/load_config.h"

namespace torii::launch {
namespace {

void AddText(const std::string& text, const std::string& name, ConfigLocations* locations) {
  RunConfig config;
  ASSERT_TRUE(ParseConfigText(text, name, &config, locations).ok()) << text;
}

TEST(ConfigLocationsTest, KnowsScalarsMessagesAndElements) {
  ConfigLocations places;
  AddText(
      "seed: 1\nmodel {\n  user { feature: 'c' feature: 'd' }\n}\n"
      "data { users {\n feature { column: 'a' }\n  feature {\n   name: 'x' } } }",
      "a", &places);
  EXPECT_EQ(places.Find("seed"), "a:1:1");
  EXPECT_EQ(places.Find("model"), "a:2:1");
  EXPECT_EQ(places.Find("model.user.feature"), "a:3:10");
  EXPECT_EQ(places.Find("model.user.feature[1]"), "a:3:23");
  EXPECT_EQ(places.Find("data.users.feature[0].column"), "a:6:12");
  EXPECT_EQ(places.Find("data.users.feature[1]"), "a:7:3");
  EXPECT_EQ(places.Find("data.users.feature[1].name"), "a:8:4");
}

TEST(ConfigLocationsTest, ADefaultHasNoPlace) {
  ConfigLocations places;
  AddText("train { epochs: 1 }", "a", &places);
  EXPECT_EQ(places.Find("train.patience"), "");
  EXPECT_EQ(places.Find("eval.k[0]"), "");
  EXPECT_EQ(ConfigLocations().Find("seed"), "");
}

TEST(ConfigLocationsTest, ALaterFileWinsAndAListIsReplaced) {
  ConfigLocations places;
  AddText("seed: 1 eval { k: 1 k: 2 k: 3 }", "a", &places);
  AddText("eval { k: [7] }", "b", &places);
  EXPECT_EQ(places.Find("seed"), "a:1:1");
  EXPECT_EQ(places.Find("eval.k[0]"), "b:1:8");
  EXPECT_EQ(places.Find("eval.k[2]"), "");
}

TEST(ConfigLocationsTest, AnAssignmentCoversWhatIsBelowIt) {
  ConfigLocations places;
  AddText("data { split { last_k: 1 } } train { epochs: 1 }", "a", &places);
  places.AddAssignment("data.split", "data.split={last_k: 0}");
  EXPECT_EQ(places.Find("data.split.last_k"), "--set data.split={last_k: 0}");
  EXPECT_EQ(places.Find("data.splitter"), "");
  EXPECT_EQ(places.Find("data"), "a:1:1");
  EXPECT_EQ(places.Find("train.epochs"), "a:1:38");
}

}  // namespace
}  // namespace torii::launch
