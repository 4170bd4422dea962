#include "model/pool_rows.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace torii::model {
namespace {

const at::Tensor kIndex = at::tensor({2, 0, 2, 1, 3}, at::kLong);
const at::Tensor kOffsets = at::tensor({0, 2, 2, 5, 5}, at::kLong);  // lists of 2, 0, 3 and 0 rows

at::Tensor Rows() {
  return at::arange(12, at::kFloat).view({4, 3}).mul(0.5).add(1).requires_grad_();
}

TEST(PoolRowsTest, TakesMeanOrSumAndEmptyListsGiveZeros) {
  const at::Tensor rows = Rows(), data = rows.detach();
  const at::Tensor sum = PoolRows(rows, kIndex, kOffsets, BagPooling::kSum);
  const at::Tensor mean = PoolRows(rows, kIndex, kOffsets, BagPooling::kMean);
  EXPECT_TRUE(at::allclose(sum[0].detach(), data[2] + data[0]));
  EXPECT_TRUE(at::allclose(sum[2].detach(), data[2] + data[1] + data[3]));
  EXPECT_TRUE(at::allclose(mean[2].detach(), (data[2] + data[1] + data[3]) / 3));
  for (const at::Tensor& pooled : {sum, mean, PoolRecent(rows, kIndex, kOffsets, 2)}) {
    ASSERT_EQ(pooled.sizes(), at::IntArrayRef({4, 3}));
    EXPECT_EQ(pooled[1].abs().sum().item<float>(), 0);
    EXPECT_EQ(pooled[3].abs().sum().item<float>(), 0);
  }
}

TEST(PoolRowsTest, GradientGoesToTheRowsThatWerePooled) {
  const at::Tensor rows = Rows();
  PoolRows(rows, kIndex, kOffsets, BagPooling::kMean)[2].sum().backward();
  const std::vector<double> expected = {0, 1.0 / 3, 1.0 / 3, 1.0 / 3};
  for (int64_t j = 0; j < 4; ++j) {
    EXPECT_NEAR(rows.grad()[j][1].item<double>(), expected[static_cast<size_t>(j)], 1e-7) << j;
  }
}

TEST(PoolRowsTest, RecencyHalvesEveryHalfLifeAndAddsUpToOne) {
  const at::Tensor weights = RecencyWeights(at::tensor({0, 3, 3, 4}, at::kLong), 2);
  const double half = std::sqrt(0.5), total = 1 + half + 0.5;
  EXPECT_NEAR(weights[0].item<double>(), 0.5 / total, 1e-7);  // the oldest
  EXPECT_NEAR(weights[1].item<double>(), half / total, 1e-7);
  EXPECT_NEAR(weights[2].item<double>(), 1 / total, 1e-7);
  EXPECT_EQ(weights[3].item<double>(), 1);
}

TEST(PoolRowsTest, RecencyWithAVeryLongHalfLifeIsTheMean) {
  const at::Tensor rows = Rows();
  EXPECT_TRUE(at::allclose(PoolRecent(rows, kIndex, kOffsets, 1e12),
                           PoolRows(rows, kIndex, kOffsets, BagPooling::kMean), 1e-6));
  const at::Tensor long_list = RecencyWeights(at::tensor({0, 5000}, at::kLong), 0.01);
  EXPECT_EQ(long_list[4999].item<float>(), 1);
  EXPECT_EQ(long_list[0].item<float>(), 0);
}

TEST(PoolRowsTest, WorksWithoutListsAndWithoutRows) {
  const at::Tensor none = at::empty({0}, at::kLong);
  for (const int64_t distinct : {0, 4}) {
    for (const int64_t lists : {0, 3}) {
      const at::Tensor rows = at::ones({distinct, 3}).requires_grad_();
      const at::Tensor offsets = at::zeros({lists + 1}, at::kLong);
      for (const at::Tensor& pooled :
           {PoolRows(rows, none, offsets, BagPooling::kMean), PoolRecent(rows, none, offsets, 2)}) {
        EXPECT_TRUE(at::equal(pooled.detach(), at::zeros({lists, 3})));
        pooled.sum().backward();
        EXPECT_TRUE(at::equal(rows.grad(), at::zeros({distinct, 3})));
      }
    }
  }
}

}  // namespace
}  // namespace torii::model
