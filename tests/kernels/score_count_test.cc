#include "kernels/cpu/ranking/score_count.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/kernels/score_support.h"

namespace torii::kernels::cpu {
namespace {

using ScoreCountTest = ScoreVariantsTest;
INSTANTIATE_TEST_SUITE_P(AllVariants, ScoreCountTest, ::testing::ValuesIn(RunnableScoreVariants()),
                         VariantName);

struct CountProblem {
  int64_t rows, n, dim;
  std::vector<float> q, v;
  std::vector<int64_t> begin = {0};
  std::vector<float> score = {};
  std::vector<int64_t> tie_before = {};
  std::vector<int64_t> hidden_begin = {}, hidden = {};  // empty: no row hides anything

  void AddThreshold(float limit, int64_t ties) {
    score.push_back(limit);
    tie_before.push_back(ties);
  }
  void EndRow() { begin.push_back(static_cast<int64_t>(score.size())); }

  // Counts on top of 1000 in each place.
  std::vector<int64_t> Count(const ScoreVariant* variant) const {
    std::vector<int64_t> counts(score.size(), 1000);
    std::vector<int64_t> first = hidden_begin;
    first.resize(static_cast<size_t>(rows) + 1, first.empty() ? 0 : first.back());
    CountAbove(q.data(), rows, PackedVectors(v.data(), n, dim, variant),
               {begin.data(), score.data(), tie_before.data()}, {first.data(), hidden.data()},
               counts.data());
    return counts;
  }
  bool Hides(int64_t i, int64_t j) const {
    if (hidden_begin.empty()) return false;
    const auto row = static_cast<size_t>(i);
    return std::binary_search(hidden.begin() + hidden_begin[row],
                              hidden.begin() + hidden_begin[row + 1], j);
  }
  // The same, by comparing single scores.
  std::vector<int64_t> CountOneByOne(const ScoreVariant* variant) const {
    std::vector<int64_t> counts(score.size(), 1000);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const float s = Score(q.data() + i * dim, v.data() + j * dim, dim, variant);
        for (int64_t t = begin[static_cast<size_t>(i)]; t < begin[static_cast<size_t>(i + 1)];
             ++t) {
          const auto at = static_cast<size_t>(t);
          if (Hides(i, j)) continue;
          counts[at] += s > score[at] || (s == score[at] && j < tie_before[at]);
        }
      }
    }
    return counts;
  }
};

// Rows have 0 to `most` thresholds with limits -3 .. 3 and ties anywhere, also past the items.
CountProblem ProblemWithTies(int64_t rows, int64_t n, int64_t most) {
  CountProblem p{rows, n, 3, SmallIntegers(rows, 3, "q"), SmallIntegers(n, 3, "v")};
  uint64_t next = 0;
  const RandomStream random(3, "thresholds");
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t thresholds = most == 1 ? 1 : random.Below(next++, most + 1);
    for (int64_t t = 0; t < thresholds; ++t) {
      const auto limit = static_cast<float>(random.Below(next++, 7) - 3);
      p.AddThreshold(limit, random.Below(next++, n + 3) - 1);
    }
    p.EndRow();
  }
  return p;
}

TEST_P(ScoreCountTest, EqualsCountingOneByOneWithTies) {
  for (const int64_t n : {0, 1, 2, 15, 16, 48, 96, 97, 251}) {
    for (const int64_t rows : {0, 1, 8, 13, 211}) {
      for (const int64_t most : {1, 4}) {
        const CountProblem problem = ProblemWithTies(rows, n, most);
        ASSERT_EQ(problem.Count(GetParam()), problem.CountOneByOne(GetParam()))
            << n << " items, " << rows << " rows, up to " << most << " thresholds";
      }
    }
  }
}

TEST_P(ScoreCountTest, HiddenItemsDoNotCount) {
  for (const int64_t n : {1, 48, 97, 251}) {
    for (const int64_t most : {1, 4}) {
      CountProblem p = ProblemWithTies(53, n, most);
      const RandomStream random(5, "hidden");
      uint64_t next = 0;
      p.hidden_begin = {0};
      for (int64_t i = 0; i < p.rows; ++i) {
        // Of some rows nothing, of some everything, of the others a part.
        const int64_t of_four = i % 5 == 0 ? 0 : i % 7 == 0 ? 4 : 1;
        for (int64_t j = 0; j < n; ++j) {
          if (random.Below(next++, 4) < of_four) p.hidden.push_back(j);
        }
        p.hidden_begin.push_back(static_cast<int64_t>(p.hidden.size()));
      }
      ASSERT_EQ(p.Count(GetParam()), p.CountOneByOne(GetParam()))
          << n << " items, up to " << most << " thresholds";
    }
  }
}

TEST_P(ScoreCountTest, OneRowMayHaveManyThresholdsAndItsNeighboursNone) {
  CountProblem p{9, 100, 3, SmallIntegers(9, 3, "q"), SmallIntegers(100, 3, "v")};
  for (int64_t i = 0; i < p.rows; ++i) {
    for (int64_t t = 0; i == 4 && t < 500; ++t)
      p.AddThreshold(static_cast<float>(t % 9 - 4), t % 101);
    p.EndRow();
  }

  EXPECT_EQ(p.Count(GetParam()), p.CountOneByOne(GetParam()));
}

TEST_P(ScoreCountTest, FindsTiesOfScoresThatRound) {
  const int64_t n = 300;
  const int64_t dim = 61;
  CountProblem p{30, n, dim, RandomVectors(30, dim, "q"), RandomVectors(n, dim, "v")};
  // Items 150..299 repeat items 0..149.
  std::copy(p.v.begin(), p.v.begin() + 150 * dim, p.v.begin() + 150 * dim);
  for (int64_t i = 0; i < p.rows; ++i) {
    for (const int64_t target : {i * 10, (i * 10 + 150) % n}) {
      p.AddThreshold(Score(p.q.data() + i * dim, p.v.data() + target * dim, dim, GetParam()),
                     target);
    }
    p.EndRow();
  }

  const std::vector<int64_t> counts = p.Count(GetParam());

  EXPECT_EQ(counts, p.CountOneByOne(GetParam()));
  // The two equal items are one place apart.
  for (size_t t = 0; t < counts.size(); t += 2) {
    EXPECT_EQ(std::abs(counts[t] - counts[t + 1]), 1) << t;
  }
}

TEST_P(ScoreCountTest, EqualScoresCountUpToTheTieWhateverTheirSign) {
  CountProblem p{4, 50, 1, {0.0F, 1.0F, -1.0F, 1e-38F}, std::vector<float>(50, 0.0F)};
  for (const float limit : {0.0F, -0.0F}) {
    p.begin = {0};
    p.score.clear();
    p.tie_before.clear();
    for (int64_t i = 0; i < p.rows; ++i) {
      p.AddThreshold(limit, 7 + i * 13);
      p.EndRow();
    }
    EXPECT_EQ(p.Count(GetParam()), (std::vector<int64_t>{1007, 1020, 1033, 1046}));
  }
}

TEST_P(ScoreCountTest, ExtremeThresholdsCountAllOrNothing) {
  const float infinity = std::numeric_limits<float>::infinity();
  CountProblem p{6, 53, 1, {1, 1, 1, -1, 1, 1}, std::vector<float>(53, 2.0F)};
  for (const auto& [limit, ties] : std::vector<std::pair<float, int64_t>>{
           {-infinity, 0}, {infinity, 53}, {2.0F, 53}, {-2.0F, 51}, {-1e38F, 0}, {NAN, 53}}) {
    p.AddThreshold(limit, ties);
    p.EndRow();
  }

  EXPECT_EQ(p.Count(GetParam()), (std::vector<int64_t>{1053, 1000, 1053, 1051, 1053, 1000}));
}

}  // namespace
}  // namespace torii::kernels::cpu
