#include "sharding/table_config.h"

#include <string>
#include <vector>

#include "base/exit_code.h"
#include "gtest/gtest.h"

namespace torii::sharding {
namespace {

const std::vector<std::string> kNames = {"item_id", "user_id", "user.city"};

TableConfig Entry(const std::string& name) {
  TableConfig entry;
  entry.set_name(name);
  return entry;
}

TEST(TableConfigTest, TheOldWeightDecayIsRefusedWithTheValueToWrite) {
  TableConfig config;
  const ConfigRules sound;
  Validate(config, sound);
  EXPECT_TRUE(sound.status().ok());
  config.set_weight_decay(0.001);
  const ConfigRules broken;
  Validate(config, broken);
  EXPECT_NE(broken.status().message().find("write l2: 0.002 instead of weight_decay: 0.001"),
            std::string::npos)
      << broken.status();
}

TEST(ConfigsOfTest, AnEntryOverridesWhatItSets) {
  TableConfig defaults, entry = Entry("user_id");
  defaults.set_learning_rate(0.5);
  defaults.set_optimizer(TableConfig::ADAM);
  entry.set_learning_rate(0.25);
  entry.set_placement(TableConfig::REPLICATED);

  const auto configs = ConfigsOf(kNames, defaults, std::vector{entry});

  ASSERT_TRUE(configs.ok()) << configs.status();
  ASSERT_EQ(configs->size(), 3u);
  for (const size_t t : {0u, 2u}) {
    EXPECT_EQ((*configs)[t].SerializeAsString(), defaults.SerializeAsString());
  }
  EXPECT_EQ((*configs)[1].learning_rate(), 0.25);
  EXPECT_EQ((*configs)[1].optimizer(), TableConfig::ADAM);
  EXPECT_EQ((*configs)[1].placement(), TableConfig::REPLICATED);
}

TEST(ConfigsOfTest, AnEntryOfNoTableNamesThoseThereAre) {
  const auto configs = ConfigsOf(kNames, {}, std::vector{Entry("item_ids")});
  ASSERT_FALSE(configs.ok());
  EXPECT_EQ(ExitCodeOf(configs.status()), ExitCode::kConfig);
  EXPECT_EQ(configs.status().message(),
            "table { name: 'item_ids' }: the model has no such table (did you mean 'item_id'?); it "
            "has item_id, user_id, user.city");
}

TEST(ValidateTablesTest, SaysTheFieldOfEachBrokenRule) {
  TableConfig defaults = Entry("item_id");
  defaults.set_beta1(1);
  std::vector<TableConfig> entries = {Entry("a"), Entry(""), Entry("a")};
  entries[0].set_learning_rate(-2);
  for (TableConfig& entry : entries) entry.set_beta1(0.5);
  const ConfigRules rules;
  Validate(defaults, entries, rules);
  std::vector<std::string> texts;
  for (const BrokenRule& rule : rules.broken()) texts.push_back(rule.Text());
  EXPECT_EQ(texts, (std::vector<std::string>{
                       "tables.beta1: must be in [0, 1), not 1",
                       "tables.name: must not be set, because `tables` has the defaults of all "
                       "tables; write table { name: 'item_id' ... } for one",
                       "table[0].learning_rate: must be above 0, not -2",
                       "table[1].name: is needed: the table that the entry is about",
                       "table[2].name: 'a' is taken by an entry before"}));
  const ConfigRules sound;
  Validate(TableConfig(), std::vector{Entry("a"), Entry("b")}, sound);
  EXPECT_TRUE(sound.broken().empty());
}

}  // namespace
}  // namespace torii::sharding
