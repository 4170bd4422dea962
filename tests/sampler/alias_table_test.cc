#include "sampler/alias_table.h"

#include <cmath>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace torii::sampler {
namespace {

// Pearson's statistic of `draws` draws against the probabilities, in standard deviations of
// chi-square.
double ChiSquareDeviation(const std::vector<double>& probabilities, int64_t draws) {
  const AliasTable table(probabilities);
  const RandomStream stream(3, "draws");
  std::vector<double> counts(probabilities.size(), 0);
  for (int64_t i = 0; i < draws; ++i) {
    ++counts[static_cast<size_t>(table.Draw(stream, static_cast<uint64_t>(i)))];
  }
  double statistic = 0, degrees = -1;
  for (size_t k = 0; k < counts.size(); ++k) {
    const double expected = probabilities[k] * static_cast<double>(draws);
    if (expected == 0) {
      EXPECT_EQ(counts[k], 0) << "outcome " << k << " cannot be drawn";
      continue;
    }
    statistic += (counts[k] - expected) * (counts[k] - expected) / expected;
    ++degrees;
  }
  return degrees > 0 ? (statistic - degrees) / std::sqrt(2 * degrees) : statistic;
}

TEST(AliasTableTest, DrawsFollowTheDistribution) {
  for (const double exponent : {0.0, 0.75, 1.05, 2.0}) {
    std::vector<double> probabilities;
    double sum = 0;
    for (int k = 1; k <= 500; ++k) {
      probabilities.push_back(k % 7 == 0 ? 0 : std::pow(k, -exponent));
      sum += probabilities.back();
    }
    for (double& p : probabilities) p /= sum;

    EXPECT_LT(std::abs(ChiSquareDeviation(probabilities, 1'000'000)), 4) << exponent;
  }
}

TEST(AliasTableTest, HoldsOneOutcomeAndAnImpossibleOne) {
  EXPECT_EQ(ChiSquareDeviation({1}, 100), 0);
  EXPECT_EQ(ChiSquareDeviation({0, 1, 0}, 1000), 0);
}

TEST(AliasTableTest, ADrawDependsOnItsNumberAlone) {
  const AliasTable table(std::vector<double>{0.2, 0.3, 0.5});
  const RandomStream stream(3, "draws");
  const int64_t tenth = table.Draw(stream, 10);
  for (uint64_t i = 0; i < 10; ++i) (void)table.Draw(stream, i);
  EXPECT_EQ(table.Draw(stream, 10), tenth);
}

}  // namespace
}  // namespace torii::sampler
