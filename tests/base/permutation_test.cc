#include "base/permutation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "gtest/gtest.h"

namespace torii {
namespace {

std::vector<int64_t> Images(int64_t n, uint64_t seed, uint64_t epoch) {
  const KeyedPermutation permutation(n, seed, epoch);
  std::vector<int64_t> images;
  for (int64_t i = 0; i < n; ++i) images.push_back(permutation(i));
  return images;
}

double ChiSquareLimit(double freedom) { return freedom + 5 * std::sqrt(2 * freedom); }

TEST(KeyedPermutationTest, IsABijection) {
  for (const int64_t n : {0, 1, 2, 3, 4, 5, 16, 17, 1000, 65536, 65537}) {
    for (const uint64_t epoch : {0, 1, 2}) {
      std::vector<int64_t> images = Images(n, 11, epoch);
      std::sort(images.begin(), images.end());
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(images[static_cast<size_t>(i)], i) << n;
    }
  }
}

TEST(KeyedPermutationTest, FillsWhatItGivesOneByOne) {
  for (const int64_t n : {1, 2, 5, 255, 256, 257, 1000, 70'001}) {
    const KeyedPermutation permutation(n, 3, 1);
    for (const int64_t first : {int64_t{0}, n / 3, n}) {
      std::vector<int64_t> images(static_cast<size_t>(std::min<int64_t>(n - first, 1500)));
      permutation.Fill(first, images);
      for (size_t i = 0; i < images.size(); ++i) {
        ASSERT_EQ(images[i], permutation(first + static_cast<int64_t>(i))) << n << " " << i;
      }
    }
  }
}

TEST(KeyedPermutationTest, StaysInRangeForHugeN) {
  for (const int64_t n : {(int64_t{1} << 32) + 1, INT64_MAX}) {
    const KeyedPermutation permutation(n, 1, 0);
    for (const int64_t position : {int64_t{0}, int64_t{1} << 31, int64_t{1} << 32, n - 1}) {
      if (position >= n) continue;
      EXPECT_GE(permutation(position), 0);
      EXPECT_LT(permutation(position), n);
    }
  }
}

// Checkpoints resume in the middle of an epoch: other values here would repeat and lose rows of
// theirs.
TEST(KeyedPermutationTest, NeverChanges) {
  const std::vector<int64_t> images = Images(1000, 1, 2);

  EXPECT_EQ(std::vector<int64_t>(images.begin(), images.begin() + 5),
            (std::vector<int64_t>{590, 142, 663, 346, 235}));
}

TEST(KeyedPermutationTest, DiffersByEpochAndSeed) {
  const std::vector<int64_t> images = Images(1000, 5, 0);

  EXPECT_EQ(images, Images(1000, 5, 0));
  for (const auto& others : {Images(1000, 5, 1), Images(1000, 6, 0)}) {
    int agree = 0;
    for (size_t i = 0; i < images.size(); ++i) agree += images[i] == others[i];
    // Two random permutations agree in one place on average (Poisson).
    EXPECT_LE(agree, 8);
  }
}

TEST(KeyedPermutationTest, GivesEveryOrderOfFewElementsEquallyOften) {
  double orders = 1;
  for (int64_t n = 2; n <= 5; ++n) {
    orders *= static_cast<double>(n);
    std::map<std::vector<int64_t>, int64_t> counts;
    constexpr int kEpochs = 24'000;
    for (uint64_t epoch = 0; epoch < kEpochs; ++epoch) ++counts[Images(n, 3, epoch)];

    const double expected = kEpochs / orders;
    double chi_square = (orders - static_cast<double>(counts.size())) * expected;
    for (const auto& [order, count] : counts) {
      chi_square += std::pow(static_cast<double>(count) - expected, 2) / expected;
    }
    EXPECT_LT(chi_square, ChiSquareLimit(orders - 1)) << "n = " << n;
  }
}

TEST(KeyedPermutationTest, NeighboursLandIndependently) {
  constexpr int64_t kN = 65'537;
  constexpr int64_t kCells = 16;
  const std::vector<int64_t> images = Images(kN, 9, 4);
  std::vector<double> counts(kCells * kCells);
  for (size_t i = 0; i + 1 < images.size(); ++i) {
    const int64_t cell = images[i] * kCells / kN * kCells + images[i + 1] * kCells / kN;
    ++counts[static_cast<size_t>(cell)];
  }

  const double expected = static_cast<double>(kN - 1) / (kCells * kCells);
  double chi_square = 0;
  for (const double count : counts) chi_square += std::pow(count - expected, 2) / expected;
  EXPECT_LT(chi_square, ChiSquareLimit(kCells * kCells - 1));
}

}  // namespace
}  // namespace torii
