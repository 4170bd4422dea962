#include "base/random.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace torii {
namespace {

// Five standard deviations above the mean of a chi-square value with `freedom` degrees of freedom.
double ChiSquareLimit(double freedom) { return freedom + 5 * std::sqrt(2 * freedom); }

double ChiSquare(const std::vector<int64_t>& counts) {
  double total = 0;
  for (const int64_t count : counts) total += static_cast<double>(count);
  const double expected = total / static_cast<double>(counts.size());
  double sum = 0;
  for (const int64_t count : counts) {
    sum += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected);
  }
  return sum / expected;
}

// The rows "philox4x32 10" of Random123's kat_vectors.
TEST(PhiloxTest, GivesThePublishedAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(MixSeedTest, SeparatesNeighbouringInputs) {
  std::set<uint64_t> seen;
  for (uint64_t a = 0; a < 100; ++a) {
    for (uint64_t b = 0; b < 100; ++b) seen.insert(MixSeed(a, b));
  }
  for (uint64_t a = 0; a < 100; ++a) {
    seen.insert(MixSeed(a, "user"));
    seen.insert(MixSeed(a, "item"));
  }

  EXPECT_EQ(seen.size(), 10'200u);
}

TEST(RandomStreamTest, ChangesWithSeedPurposeStepAndIndex) {
  const RandomStream stream(7, "dropout", 3);

  EXPECT_EQ(stream.Bits(5), RandomStream(7, "dropout", 3).Bits(5));
  EXPECT_NE(stream.Bits(5), stream.Bits(6));
  EXPECT_NE(stream.Bits(5), stream.Bits(5 + (uint64_t{1} << 32)));
  EXPECT_NE(stream.Bits(5), RandomStream(8, "dropout", 3).Bits(5));
  EXPECT_NE(stream.Bits(5), RandomStream(7, "dropout2", 3).Bits(5));
  EXPECT_NE(stream.Bits(5), RandomStream(7, "dropout", 4).Bits(5));
  EXPECT_NE(stream.Bits(5), RandomStream(7, "dropout", 3 + (uint64_t{1} << 32)).Bits(5));
}

// A resumed run must draw what the undisturbed one would have drawn.
TEST(RandomStreamTest, NeverChanges) {
  const RandomStream stream(1, "dropout", 2);
  EXPECT_EQ(stream.Bits(3), 0x3afa9ec5e37e5d97u);
  EXPECT_EQ(stream.Below(3, 1000), 230);
  EXPECT_EQ(MixSeed(1, 2), 0x81a5c1377856b73u);
  EXPECT_EQ(MixSeed(1, "item"), 0x14c1b483a682851bu);

  std::vector<float> row(5);
  stream.UniformRow(4, row);
  EXPECT_EQ(row[0], 0.505397558f);
  EXPECT_EQ(row[4], 0.613773048f);
  // Another libm may round the last bit otherwise.
  stream.NormalRow(4, row);
  EXPECT_FLOAT_EQ(row[0], 1.16786134f);
  EXPECT_FLOAT_EQ(row[4], 0.980376482f);
}

TEST(RandomStreamTest, UniformFillsTheUnitIntervalEvenly) {
  const RandomStream stream(1, "test");
  std::vector<int64_t> counts(64);
  for (uint64_t i = 0; i < 100'000; ++i) {
    const double x = stream.Uniform(i);
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    ++counts[static_cast<size_t>(x * 64)];
  }

  EXPECT_LT(ChiSquare(counts), ChiSquareLimit(63));
}

TEST(RandomStreamTest, BelowIsEvenAndInRange) {
  const RandomStream stream(2, "test");
  std::vector<int64_t> counts(7);
  for (uint64_t i = 0; i < 70'000; ++i) ++counts.at(static_cast<size_t>(stream.Below(i, 7)));
  EXPECT_LT(ChiSquare(counts), ChiSquareLimit(6));

  constexpr int64_t kLarge = INT64_MAX;
  int64_t largest = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(stream.Below(i, 1), 0);
    const int64_t value = stream.Below(i, kLarge);
    ASSERT_GE(value, 0);
    ASSERT_LT(value, kLarge);
    largest = std::max(largest, value);
  }
  EXPECT_GT(largest, kLarge / 100 * 95);
}

TEST(RandomStreamTest, RowsDependOnlyOnTheirNumberAndElement) {
  const RandomStream stream(3, "init:item_id", 9);
  std::vector<float> longer(13);
  stream.NormalRow(41, longer);
  std::vector<float> longer_uniform(13);
  stream.UniformRow(41, longer_uniform);

  for (const size_t size : {0, 1, 4, 7, 13}) {
    std::vector<float> row(size);
    stream.NormalRow(41, row);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), longer.begin())) << size;
    stream.UniformRow(41, row);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), longer_uniform.begin())) << size;
  }
}

TEST(RandomStreamTest, RowsChangeWithRowStepAndSeed) {
  std::set<float> seen;
  std::vector<float> row(3);
  for (const uint64_t number : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
    for (const uint64_t step : {0, 1}) {
      for (const uint64_t seed : {0, 1}) {
        RandomStream(seed, "test", step).NormalRow(number, row);
        seen.insert(row.begin(), row.end());
      }
    }
  }

  EXPECT_EQ(seen.size(), 3u * 3 * 2 * 2);
}

TEST(RandomStreamTest, NormalRowsHaveTheNormalDistribution) {
  constexpr uint64_t kRows = 20'000;
  const RandomStream stream(4, "test");
  std::vector<float> row(10);
  std::vector<int64_t> counts(64);
  double neighbours = 0;
  for (uint64_t r = 0; r < kRows; ++r) {
    stream.NormalRow(r, row);
    for (size_t i = 0; i < row.size(); ++i) {
      ASSERT_TRUE(std::isfinite(row[i]));
      // The distribution function makes normal values uniform.
      const double level = 0.5 * std::erfc(-static_cast<double>(row[i]) / std::sqrt(2.0));
      ++counts[std::min<size_t>(63, static_cast<size_t>(level * 64))];
      if (i > 0) neighbours += static_cast<double>(row[i]) * static_cast<double>(row[i - 1]);
    }
  }

  EXPECT_LT(ChiSquare(counts), ChiSquareLimit(63));
  // The sum of 180,000 products of independent normal values has that variance.
  EXPECT_LT(std::abs(neighbours), 5 * std::sqrt(static_cast<double>(kRows * 9)));
}

TEST(RandomStreamTest, UniformRowsFillTheUnitIntervalEvenly) {
  const RandomStream stream(5, "test");
  std::vector<float> row(7);
  std::vector<int64_t> counts(64);
  for (uint64_t r = 0; r < 10'000; ++r) {
    stream.UniformRow(r, row);
    for (const float x : row) {
      ASSERT_GE(x, 0.0f);
      ASSERT_LT(x, 1.0f);
      ++counts[static_cast<size_t>(x * 64)];
    }
  }

  EXPECT_LT(ChiSquare(counts), ChiSquareLimit(63));
}

}  // namespace
}  // namespace torii
