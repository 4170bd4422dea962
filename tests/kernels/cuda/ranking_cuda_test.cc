// Ranking by the kernels of a GPU: the same whole numbers as the CPU for the same vectors.
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/ranking/score.h"
#include "kernels/ranking.h"
#include "tests/kernels/cuda/cuda_support.h"

namespace torii::kernels::cuda {
namespace {

// Thresholds at the scores of items, so that ties and near ties decide.
struct Case {
  Case(int64_t queries, int64_t items, int64_t dim, int64_t most_thresholds, bool is_whole)
      : q(Normals({queries, dim}, "q")), v(Normals({items, dim}, "v")) {
    if (is_whole) {  // small whole numbers: most scores tie
      q = at::floor(q);
      v = at::floor(v);
    }
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t j = i % 5; j < items && i % 3 != 0; j += 7) hidden.push_back(j);
      hidden_begin.push_back(std::ssize(hidden));
      for (int64_t t = 0; t < (i * i + 1) % (most_thresholds + 1) && items > 0; ++t) {
        q_row.push_back(i);
        item.push_back((i * 97 + t * 1009) % items);
      }
      begin.push_back(std::ssize(item));
    }
  }

  at::Tensor q, v;
  std::vector<int64_t> hidden_begin = {0}, hidden, begin = {0}, q_row, item;
};

// Scores of the CPU have the same bits where it fuses multiplications with additions.
bool CpuFuses() {
  const float a = 1 + 0x1p-12F;
  const float q[] = {-1, a}, v[] = {1, a};
  return cpu::Score(q, v, 2) != a * a - 1;
}

class RankingCudaTest : public CudaTest {
 protected:
  static void ExpectSameRanks(const Case& c, int64_t k);
};

void RankingCudaTest::ExpectSameRanks(const Case& c, int64_t k) {
  const RankedItems want_items = PrepareItems(kCpu, c.v, {});
  const RankedItems items = PrepareItems(Gpu(), There(c.v), {});
  const at::Tensor q = There(c.q);
  ASSERT_FALSE(items.scores);
  const HiddenLists hidden{c.hidden_begin, c.hidden};
  const at::Tensor limit = ScorePairs(kCpu, c.q, want_items, c.q_row, c.item);
  EXPECT_TRUE(at::allclose(Back(ScorePairs(Gpu(), q, items, c.q_row, c.item)), limit, 0, 0,
                           /*equal_nan=*/true));
  const RowThresholds thresholds{c.begin, limit, c.item};
  EXPECT_TRUE(at::equal(Back(CountAbove(Gpu(), q, items, {c.begin, There(limit), c.item}, hidden)),
                        CountAbove(kCpu, c.q, want_items, thresholds, hidden)));
  const BestItems want = TopK(kCpu, c.q, want_items, hidden, k);
  const BestItems got = TopK(Gpu(), q, items, hidden, k);
  EXPECT_TRUE(at::equal(Back(got.items), want.items));
  EXPECT_TRUE(at::equal(Back(got.scores), want.scores));
}

TEST_F(RankingCudaTest, CountsAndBestItemsAreTheCpus) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  InBothOrders([] {
    for (const int64_t queries : {0, 1, 31, 129}) {
      for (const int64_t items : {0, 1, 129, 300}) {
        for (const int64_t dim : {1, 16, 37}) {
          SCOPED_TRACE(testing::Message() << queries << " x " << items << " x " << dim);
          ExpectSameRanks(Case(queries, items, dim, 2, /*is_whole=*/true), 5);
          ExpectSameRanks(Case(queries, items, dim, 1, /*is_whole=*/false), 400);
        }
      }
    }
  });
}

TEST_F(RankingCudaTest, ARowMayHaveManyThresholds) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  ExpectSameRanks(Case(40, 700, 5, 37, /*is_whole=*/true), 1);
  ExpectSameRanks(Case(3, 2000, 5, 17, /*is_whole=*/false), 1);
}

// Tiles have 128 queries and 128 items, slices 8 dimensions.
TEST_F(RankingCudaTest, EdgesOfTilesAreRight) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  const int64_t dims[] = {1, 7, 64, 130};
  size_t next = 0;
  for (const int64_t queries : {1, 127, 128, 129}) {
    for (const int64_t items : {1, 127, 128, 129}) {
      const int64_t dim = dims[next % 4];  // each with all numbers of queries and of items
      SCOPED_TRACE(testing::Message() << queries << " x " << items << " x " << dim);
      ExpectSameRanks(Case(queries, items, dim, 2, /*is_whole=*/dim % 2 == 1), 20);
      ++next;
    }
    ++next;
  }
}

// Numbers whose scores are zeros of either sign, infinite, or not numbers.
TEST_F(RankingCudaTest, StrangeScoresAreTheCpus) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kTiny = 1e-30F;  // products of such are 0 or -0
  Case c(20, 300, 3, 2, /*is_whole=*/true);
  c.q.slice(0, 4, 8).fill_(kTiny);
  c.q[12][1] = kInfinity;
  c.q[13].zero_();
  c.v.slice(0, 20, 40).fill_(kTiny);
  c.v.slice(0, 40, 60).fill_(-kTiny);
  c.v[70][0] = kInfinity;
  c.v[71][0] = -kInfinity;
  c.v[72][2] = std::numeric_limits<float>::quiet_NaN();
  c.v[73].zero_();
  ExpectSameRanks(c, 250);
}

// All that ranking does, small enough for tools that look at every access.
TEST_F(RankingCudaTest, SmallForSanitizers) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  ExpectSameRanks(Case(20, 260, 10, 2, /*is_whole=*/true), 9);
}

// The search looks at 1,024 items first, then at 4 times as many as it has seen.
TEST_F(RankingCudaTest, BestItemsOfManyStepsAreRight) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  ExpectSameRanks(Case(3, 17'000, 2, 1, /*is_whole=*/true), 7);
  ExpectSameRanks(Case(3, 17'000, 2, 1, /*is_whole=*/false), 1500);
}

// The worst orders: each item is better than all before it, or none is.
TEST_F(RankingCudaTest, BestItemsOfSortedItemsAreRight) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  Case c(4, 6000, 1, 1, /*is_whole=*/false);
  c.v = at::arange(-2000, 4000).to(at::kFloat).unsqueeze(1);
  c.q = at::tensor({1.0F, -1.0F, 0.5F, -0.0F}).unsqueeze(1);
  ExpectSameRanks(c, 100);
}

TEST_F(RankingCudaTest, ListsLongerThanSharedMemoryAreSorted) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  ExpectSameRanks(Case(2, 6000, 3, 1, /*is_whole=*/false), 5000);
}

// More queries than are searched at a time.
TEST_F(RankingCudaTest, BestItemsOfManyQueriesAreRight) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  ExpectSameRanks(Case(4200, 20, 1, 1, /*is_whole=*/true), 20);
}

TEST_F(RankingCudaTest, LargestMagnitudesAreTheCpus) {
  for (const int64_t dim : {1, 31, 129}) {
    at::Tensor x = Normals({9, dim}, "x");
    x[2][dim - 1] = std::numeric_limits<float>::quiet_NaN();
    x[4][0] = -std::numeric_limits<float>::infinity();
    EXPECT_TRUE(at::equal(Back(LargestMagnitudes(Gpu(), There(x))), LargestMagnitudes(kCpu, x)));
  }
  EXPECT_EQ(LargestMagnitudes(Gpu(), There(Normals({0, 3}, "x"))).numel(), 0);
}

}  // namespace
}  // namespace torii::kernels::cuda
