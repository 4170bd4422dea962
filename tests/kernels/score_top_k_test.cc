#include "kernels/cpu/ranking/score_top_k.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/kernels/score_support.h"

namespace torii::kernels::cpu {
namespace {

using ScoreTopKTest = ScoreVariantsTest;
INSTANTIATE_TEST_SUITE_P(AllVariants, ScoreTopKTest, ::testing::ValuesIn(RunnableScoreVariants()),
                         VariantName);

struct TopKProblem {
  int64_t rows, n, dim;
  std::vector<float> q, v;
  std::vector<int64_t> hidden_begin = {0};
  std::vector<int64_t> hidden = {};
};

// Hides every item of row i that a random number below 1 is under `share` for; all in row 5.
void HideItems(TopKProblem& p, double share) {
  const RandomStream random(9, "hidden");
  for (int64_t i = 0; i < p.rows; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      if (i == 5 || random.Uniform(static_cast<uint64_t>(i * p.n + j)) < share) {
        p.hidden.push_back(j);
      }
    }
    p.hidden_begin.push_back(static_cast<int64_t>(p.hidden.size()));
  }
}

// The items of row i that are not hidden, sorted by the scores that Scores gives.
std::vector<int64_t> SortedItems(const TopKProblem& p, const std::vector<float>& scores,
                                 int64_t i) {
  std::vector<int64_t> items(static_cast<size_t>(p.n));
  std::iota(items.begin(), items.end(), int64_t{0});
  const auto* begin = p.hidden.data() + p.hidden_begin[static_cast<size_t>(i)];
  const auto* end = p.hidden.data() + p.hidden_begin[static_cast<size_t>(i + 1)];
  std::erase_if(items, [&](int64_t item) { return std::binary_search(begin, end, item); });
  const float* row = scores.data() + i * p.n;
  std::stable_sort(items.begin(), items.end(),
                   [&](int64_t a, int64_t b) { return row[a] > row[b]; });
  return items;
}

void ExpectSortedLists(const TopKProblem& p, int64_t k, const ScoreVariant* variant) {
  const PackedVectors packed(p.v.data(), p.n, p.dim, variant);
  std::vector<float> all(static_cast<size_t>(p.rows * p.n));
  Scores(p.q.data(), p.rows, packed, all.data());
  std::vector<int64_t> items(static_cast<size_t>(p.rows * k), -7);
  std::vector<float> scores(items.size(), -7.0F);
  std::vector<int64_t> length(static_cast<size_t>(p.rows), -7);

  TopKOfRows(p.q.data(), p.rows, packed, {p.hidden_begin.data(), p.hidden.data()},
             {k, items.data(), scores.data(), length.data()});

  for (int64_t i = 0; i < p.rows; ++i) {
    const std::vector<int64_t> want = SortedItems(p, all, i);
    const int64_t n = std::min(k, static_cast<int64_t>(want.size()));
    ASSERT_EQ(length[static_cast<size_t>(i)], n) << "row " << i;
    for (int64_t j = 0; j < k; ++j) {
      const auto at = static_cast<size_t>(i * k + j);
      const std::string where = "row " + std::to_string(i) + ", place " + std::to_string(j);
      ASSERT_EQ(items[at], j < n ? want[static_cast<size_t>(j)] : -7) << where;
      ASSERT_EQ(scores[at], j < n ? all[static_cast<size_t>(i * p.n + items[at])] : -7) << where;
    }
  }
}

TEST_P(ScoreTopKTest, EqualsSortingWithTiesAndHiddenItems) {
  for (const int64_t n : {0, 1, 2, 16, 47, 48, 49, 97, 401}) {
    for (const int64_t rows : {0, 1, 7, 8, 13, 199}) {
      for (const double share : {0.0, 0.3, 0.95}) {
        TopKProblem p{rows, n, 3, SmallIntegers(rows, 3, "q"), SmallIntegers(n, 3, "v")};
        HideItems(p, share);
        for (const int64_t k : {1, 2, 17, 500}) {
          SCOPED_TRACE(std::to_string(n) + " items, " + std::to_string(rows) + " rows, k " +
                       std::to_string(k) + ", hidden " + std::to_string(share));
          ASSERT_NO_FATAL_FAILURE(ExpectSortedLists(p, k, GetParam()));
        }
      }
    }
  }
}

TEST_P(ScoreTopKTest, ScoresThatRoundEqualSorting) {
  TopKProblem p{20, 3001, 37, RandomVectors(20, 37, "q"), RandomVectors(3001, 37, "v")};
  // Every item comes twice.
  std::copy(p.v.begin(), p.v.begin() + 1500 * 37, p.v.begin() + 1501 * 37);
  HideItems(p, 0.1);

  for (const int64_t k : {1, 100, 3001}) ExpectSortedLists(p, k, GetParam());
}

// The order of items that makes the limit rise with every item, and the one that never moves it.
TEST_P(ScoreTopKTest, RisingFallingAndEqualScoresEqualSorting) {
  for (const int direction : {1, 0, -1}) {
    TopKProblem p{3, 2000, 1, {1.0F, -1.0F, 0.0F}, {}};
    for (int64_t j = 0; j < p.n; ++j) p.v.push_back(static_cast<float>(direction * j));
    HideItems(p, 0.2);

    for (const int64_t k : {1, 10, 300}) ExpectSortedLists(p, k, GetParam());
  }
}

TEST_P(ScoreTopKTest, ExtremeScoresEqualSorting) {
  TopKProblem p{2, 300, 1, {1.0F, -1.0F}, {}};
  for (int64_t j = 0; j < p.n; ++j) {
    constexpr float kValues[] = {0.0F, -0.0F, 3e38F, -3e38F, 1e-45F, -1e-45F, 1.0F};
    p.v.push_back(kValues[j % 7]);
  }
  HideItems(p, 0.0);

  for (const int64_t k : {3, 100, 299}) ExpectSortedLists(p, k, GetParam());
}

}  // namespace
}  // namespace torii::kernels::cpu
