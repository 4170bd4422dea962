#include "base/check.h"

#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(CheckDeathTest, EndsWithSeventyAndNamesPlaceConditionAndValues) {
  const int found = 3;
  EXPECT_EXIT(
      TORII_CHECK(found == 4, "expected 4 rows, found ", found), ::testing::ExitedWithCode(70),
      "torii: internal error: .*check_test.cc:[0-9]+: found == 4: expected 4 rows, found 3");
}

TEST(CheckDeathTest, NeedsNoMessage) {
  EXPECT_EXIT(TORII_CHECK(1 + 1 == 3), ::testing::ExitedWithCode(70), ": 1 \\+ 1 == 3\n");
}

TEST(CheckTest, EvaluatesTheConditionOnceAndTheMessageOnlyOnFailure) {
  int evaluated = 0;
  int described = 0;
  TORII_CHECK(++evaluated == 1, ++described);

  EXPECT_EQ(evaluated, 1);
  EXPECT_EQ(described, 0);
}

}  // namespace
}  // namespace torii
