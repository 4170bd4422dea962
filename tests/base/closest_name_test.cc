#include "base/closest_name.h"

#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(EditDistanceTest, CountsInsertionsDeletionsReplacementsAndTranspositions) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("ab", "ba"), 1);
  EXPECT_EQ(EditDistance("batch", "bacth"), 1);
  EXPECT_EQ(EditDistance("same", "same"), 0);
}

TEST(ClosestNameTest, FindsTheNearestCandidate) {
  const std::vector<std::string> names = {"temperature", "batch_size", "epochs"};

  EXPECT_EQ(ClosestName("temprature", names), "temperature");
  EXPECT_EQ(ClosestName("bacth_size", names), "batch_size");
  EXPECT_EQ(DidYouMean("epoch", names), " (did you mean 'epochs'?)");
}

TEST(ClosestNameTest, IsEmptyWhenNothingIsNear) {
  EXPECT_EQ(ClosestName("warmup", {"temperature", "batch_size"}), "");
  EXPECT_EQ(ClosestName("anything", {}), "");
  EXPECT_EQ(DidYouMean("warmup", {"temperature"}), "");
}

TEST(ClosestNameTest, AllowsOneEditMoreThanAThirdOfTheLength) {
  EXPECT_EQ(ClosestName("abc", {"axy"}), "axy");
  EXPECT_EQ(ClosestName("abc", {"xyz"}), "");
}

}  // namespace
}  // namespace torii
