#include "kernels/score.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/score_variants.h"

namespace torii::kernels {
namespace {

std::vector<float> RandomVectors(int64_t rows, int64_t dim, std::string_view purpose) {
  std::vector<float> out(static_cast<size_t>(rows * dim));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(2 * RandomStream(7, purpose).Uniform(i) - 1);
  }
  return out;
}

// Runs every test for every instruction set of this machine.
class ScoreTest : public ::testing::TestWithParam<const ScoreVariant*> {
 protected:
  void SetUp() override { UseScoreVariant(*GetParam()); }
  void TearDown() override { UseScoreVariant(*RunnableScoreVariants().front()); }
};

INSTANTIATE_TEST_SUITE_P(AllVariants, ScoreTest, ::testing::ValuesIn(RunnableScoreVariants()),
                         [](const auto& variant) { return std::string(variant.param->name); });

bool SameBits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

TEST_P(ScoreTest, ScoresAreCloseToDoublePrecisionForAllSizes) {
  for (const int64_t dim : {0, 1, 2, 7, 64, 131}) {
    for (const int64_t n : {0, 1, 5, 16, 17, 47, 48, 49, 101}) {
      for (const int64_t rows : {0, 1, 7, 8, 9, 97}) {
        const std::vector<float> q = RandomVectors(rows, dim, "q");
        const std::vector<float> v = RandomVectors(n, dim, "v");
        std::vector<float> out(static_cast<size_t>(rows * n) + 1, -5.0F);

        Scores(q.data(), rows, PackedVectors(v.data(), n, dim), out.data());

        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            double want = 0;
            for (int64_t d = 0; d < dim; ++d) {
              want += static_cast<double>(q[static_cast<size_t>(i * dim + d)]) *
                      v[static_cast<size_t>(j * dim + d)];
            }
            // dim roundings of partial sums, each below dim in size.
            ASSERT_NEAR(out[static_cast<size_t>(i * n + j)], want,
                        1e-7 * static_cast<double>(dim * dim + 1))
                << dim << " " << n << " " << rows << ": " << i << " " << j;
          }
        }
        ASSERT_EQ(out.back(), -5.0F) << "written past the end";
      }
    }
  }
}

TEST_P(ScoreTest, PairScoreHasTheBitsOfScoresWhateverTheTile) {
  for (const int64_t dim : {1, 3, 17, 64, 200}) {
    const int64_t n = 203;
    const int64_t rows = 101;
    const std::vector<float> q = RandomVectors(rows, dim, "q");
    const std::vector<float> v = RandomVectors(n, dim, "v");
    std::vector<float> all(static_cast<size_t>(rows * n));
    Scores(q.data(), rows, PackedVectors(v.data(), n, dim), all.data());

    // Rows and items one at a time, from the middle of the block.
    for (int64_t i = 0; i < rows; i += 3) {
      for (int64_t j = 0; j < n; ++j) {
        const float want = all[static_cast<size_t>(i * n + j)];
        ASSERT_TRUE(SameBits(Score(q.data() + i * dim, v.data() + j * dim, dim), want));
      }
    }
    const PackedVectors tail(v.data() + 100 * dim, n - 100, dim);
    std::vector<float> part(static_cast<size_t>(n - 100));
    Scores(q.data() + 50 * dim, 1, tail, part.data());
    for (int64_t j = 100; j < n; ++j) {
      ASSERT_TRUE(
          SameBits(part[static_cast<size_t>(j - 100)], all[static_cast<size_t>(50 * n + j)]));
    }
  }
}

TEST_P(ScoreTest, RangeIsACutOfAllScores) {
  const int64_t dim = 9;
  const int64_t n = 151;
  const int64_t rows = 10;
  const std::vector<float> q = RandomVectors(rows, dim, "q");
  const std::vector<float> v = RandomVectors(n, dim, "v");
  const PackedVectors packed(v.data(), n, dim);
  std::vector<float> all(static_cast<size_t>(rows * n));
  Scores(q.data(), rows, packed, all.data());

  for (int64_t begin = 0; begin < n; begin += PackedVectors::panel_width()) {
    for (const int64_t end : {begin, begin + 1, (begin + n) / 2, n}) {
      std::vector<float> part(static_cast<size_t>(rows * (end - begin)));
      ScoresOfRange(q.data(), rows, packed, begin, end, part.data());
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = begin; j < end; ++j) {
          ASSERT_TRUE(SameBits(part[static_cast<size_t>(i * (end - begin) + j - begin)],
                               all[static_cast<size_t>(i * n + j)]));
        }
      }
    }
  }
}

// Counts by comparing single scores, on top of what `counts` holds.
void CountOneByOne(const std::vector<float>& q, const std::vector<float>& v, int64_t n, int64_t dim,
                   const std::vector<float>& threshold, const std::vector<int64_t>& tie_before,
                   std::vector<int64_t>& counts) {
  for (size_t i = 0; i < counts.size(); ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const float s = Score(q.data() + static_cast<int64_t>(i) * dim, v.data() + j * dim, dim);
      counts[i] += s > threshold[i] || (s == threshold[i] && j < tie_before[i]);
    }
  }
}

TEST_P(ScoreTest, CountAboveEqualsCountingOneByOneWithTies) {
  const int64_t dim = 3;
  for (const int64_t n : {0, 1, 2, 15, 16, 48, 96, 97, 250}) {
    for (const int64_t rows : {0, 1, 8, 13, 120}) {
      // Few different small integers: most scores tie.
      std::vector<float> q = RandomVectors(rows, dim, "q");
      std::vector<float> v = RandomVectors(n, dim, "v");
      for (float& x : q) x = std::round(x * 2);
      for (float& x : v) x = std::round(x);
      std::vector<float> threshold;
      std::vector<int64_t> tie_before;
      for (int64_t i = 0; i < rows; ++i) {
        threshold.push_back(static_cast<float>(i % 7 - 3));
        tie_before.push_back(RandomStream(3, "ties").Below(static_cast<uint64_t>(i), n + 3) - 1);
      }
      std::vector<int64_t> counts(static_cast<size_t>(rows), 1000);
      std::vector<int64_t> want = counts;
      CountOneByOne(q, v, n, dim, threshold, tie_before, want);

      CountAbove(q.data(), rows, PackedVectors(v.data(), n, dim), threshold.data(),
                 tie_before.data(), counts.data());

      ASSERT_EQ(counts, want) << n << " items, " << rows << " rows";
    }
  }
}

TEST_P(ScoreTest, CountAboveFindsTiesOfRealScores) {
  const int64_t dim = 64;
  const int64_t n = 300;
  const int64_t rows = 30;
  const std::vector<float> q = RandomVectors(rows, dim, "q");
  std::vector<float> v = RandomVectors(n, dim, "v");
  // Items 150..299 repeat items 0..149.
  std::copy(v.begin(), v.begin() + 150 * dim, v.begin() + 150 * dim);
  std::vector<float> threshold;
  std::vector<int64_t> tie_before;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t target = i * 10;
    threshold.push_back(Score(q.data() + i * dim, v.data() + target * dim, dim));
    tie_before.push_back(target);
  }
  std::vector<int64_t> counts(static_cast<size_t>(rows), 0);
  std::vector<int64_t> want = counts;
  CountOneByOne(q, v, n, dim, threshold, tie_before, want);

  CountAbove(q.data(), rows, PackedVectors(v.data(), n, dim), threshold.data(), tie_before.data(),
             counts.data());

  EXPECT_EQ(counts, want);
}

TEST_P(ScoreTest, InfiniteThresholdsCountAllOrNothing) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> q = {1, 1, 1};
  const std::vector<float> v(50, 0.0F);
  const std::vector<float> threshold = {-infinity, infinity, 0.0F};
  const std::vector<int64_t> tie_before = {0, 50, 7};
  std::vector<int64_t> counts(3, 0);

  CountAbove(q.data(), 3, PackedVectors(v.data(), 50, 1), threshold.data(), tie_before.data(),
             counts.data());

  EXPECT_EQ(counts, (std::vector<int64_t>{50, 0, 7}));
}

TEST(ScoreVariantTest, BaselineIsAlwaysThereAndTheBestIsChosen) {
  EXPECT_STREQ(RunnableScoreVariants().back()->name, "baseline");
  EXPECT_STREQ(ChosenVariant(), RunnableScoreVariants().front()->name);
}

}  // namespace
}  // namespace torii::kernels
