#include "launch/config/config_changes.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "launch/config/load_config.h"

namespace torii::launch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RunConfig Resolved(const std::string& text) {
  RunConfig config;
  EXPECT_TRUE(ParseConfigText(text, "test", &config).ok()) << text;
  FillDefaults(&config);
  return config;
}

std::vector<FieldChange> Changes(const std::string& before, const std::string& after) {
  const auto changes = ChangesSince(before, Resolved(after));
  EXPECT_TRUE(changes.ok()) << changes.status();
  return changes.ok() ? *changes : std::vector<FieldChange>();
}

TEST(ChangesSinceTest, AnEntryThatOnlyMovesATableIsFree) {
  const std::string moved = R"(table { name: "item_id" placement: REPLICATED })";
  EXPECT_THAT(Changes("", moved),
              ElementsAre(FieldChange{"table[0].placement", "AUTO", "REPLICATED", FREE}));
  EXPECT_THAT(Changes(moved, ""),
              ElementsAre(FieldChange{"table[0].placement", "REPLICATED", "AUTO", FREE}));
  EXPECT_THAT(Changes(moved, moved), IsEmpty());
}

TEST(ChangesSinceTest, AnotherRateOfATableIsAnotherModel) {
  EXPECT_THAT(Changes("", R"(table { name: "item_id" learning_rate: 0.5 })"),
              ElementsAre(FieldChange{"table[0].learning_rate", "0.05", "0.5", MEANING}));
}

TEST(ChangesSinceTest, EntriesAreComparedByName) {
  const std::string a = R"(table { name: "a" beta1: 0.5 })",
                    b = R"(table { name: "b" beta1: 0.4 })";
  EXPECT_THAT(Changes(a + b, b + a), IsEmpty());
  EXPECT_THAT(Changes(a + b, b), ElementsAre(FieldChange{"table[0].beta1", "0.5", "0.9", MEANING}));
}

}  // namespace
}  // namespace torii::launch
