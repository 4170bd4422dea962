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
  EXPECT_TRUE(at::equal(Back(ScorePairs(Gpu(), q, items, c.q_row, c.item)), limit));
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
  for (const int64_t queries : {1, 127, 128, 129}) {
    for (const int64_t items : {1, 127, 128, 129}) {
      for (const int64_t dim : {1, 7, 64, 130}) {
        SCOPED_TRACE(testing::Message() << queries << " x " << items << " x " << dim);
        ExpectSameRanks(Case(queries, items, dim, 2, /*is_whole=*/dim % 2 == 1), 20);
      }
    }
  }
}

// All that ranking does, small enough for tools that look at every access.
TEST_F(RankingCudaTest, SmallForSanitizers) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  ExpectSameRanks(Case(20, 260, 10, 2, /*is_whole=*/true), 9);
}

TEST_F(RankingCudaTest, BestItemsOfMoreThanATileAreMerged) {
  if (!CpuFuses()) GTEST_SKIP() << "this CPU rounds products, the kernels do not";
  ExpectSameRanks(Case(3, 17'000, 2, 1, /*is_whole=*/true), 7);
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
