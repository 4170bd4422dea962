#include "base/config_rules.h"

#include "base/exit_code.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(ConfigRulesTest, NamesTheFullPathOfEachField) {
  const ConfigRules rules;
  rules.Break("run_dir", "must not be empty");
  const ConfigRules tower = rules.In("model").In("user");
  tower.Break("", "has no input");
  tower.In("feature", 2).Break("name", "is taken");
  rules.In("eval").Require(false, "k[1]", 0, "at least 1");

  ASSERT_EQ(rules.broken().size(), 4u);
  EXPECT_EQ(rules.broken()[0].Text(), "run_dir: must not be empty");
  EXPECT_EQ(rules.broken()[1].Text(), "model.user: has no input");
  EXPECT_EQ(rules.broken()[2].Text(), "model.user.feature[2].name: is taken");
  EXPECT_EQ(rules.broken()[3].Text(), "eval.k[1]: must be at least 1, not 0");
}

TEST(ConfigRulesTest, WhatHoldsIsNotCollected) {
  const ConfigRules rules("train");
  rules.Require(true, "epochs", 1, "at least 1");
  rules.Require(true, "dense", "is needed");
  EXPECT_TRUE(rules.broken().empty());
  EXPECT_TRUE(rules.status().ok());
}

TEST(ConfigRulesTest, TheStatusHasEveryRule) {
  const ConfigRules rules("train");
  rules.Require(false, "epochs", 0, "at least 1");
  EXPECT_EQ(ExitCodeOf(rules.status()), ExitCode::kConfig);
  EXPECT_EQ(rules.status().message(), "train.epochs: must be at least 1, not 0");
  rules.Break("dense", "is needed");
  EXPECT_EQ(rules.status().message(),
            "the configuration breaks 2 rules\n  train.epochs: must be at least 1, not 0\n  "
            "train.dense: is needed");
}

}  // namespace
}  // namespace torii
