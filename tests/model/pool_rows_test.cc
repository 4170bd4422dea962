#include "model/pool_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/pooled_rows.h"

namespace torii::model {
namespace {

const kernels::Device kCpu = kernels::Device::Cpu();

const at::Tensor kIndex = at::tensor({2, 0, 2, 1, 3}, at::kLong);
const at::Tensor kOffsets = at::tensor({0, 2, 2, 5, 5}, at::kLong);  // lists of 2, 0, 3 and 0 rows

at::Tensor Rows() {
  return at::arange(12, at::kFloat).view({4, 3}).mul(0.5).add(1).requires_grad_();
}

TEST(PoolRowsTest, TakesMeanOrSumAndEmptyListsGiveZeros) {
  const at::Tensor rows = Rows(), data = rows.detach();
  const at::Tensor sum = PoolRows(rows, kIndex, kOffsets, BagPooling::kSum, kCpu);
  const at::Tensor mean = PoolRows(rows, kIndex, kOffsets, BagPooling::kMean, kCpu);
  EXPECT_TRUE(at::allclose(sum[0].detach(), data[2] + data[0]));
  EXPECT_TRUE(at::allclose(sum[2].detach(), data[2] + data[1] + data[3]));
  EXPECT_TRUE(at::allclose(mean[2].detach(), (data[2] + data[1] + data[3]) / 3));
  for (const at::Tensor& pooled : {sum, mean, PoolRecent(rows, kIndex, kOffsets, 2, kCpu)}) {
    ASSERT_EQ(pooled.sizes(), at::IntArrayRef({4, 3}));
    EXPECT_EQ(pooled[1].abs().sum().item<float>(), 0);
    EXPECT_EQ(pooled[3].abs().sum().item<float>(), 0);
  }
}

TEST(PoolRowsTest, GradientGoesToTheRowsThatWerePooled) {
  const at::Tensor rows = Rows();
  PoolRows(rows, kIndex, kOffsets, BagPooling::kMean, kCpu)[2].sum().backward();
  const std::vector<double> expected = {0, 1.0 / 3, 1.0 / 3, 1.0 / 3};
  for (int64_t j = 0; j < 4; ++j) {
    EXPECT_NEAR(rows.grad()[j][1].item<double>(), expected[static_cast<size_t>(j)], 1e-7) << j;
  }
}

TEST(PoolRowsTest, RecencyHalvesEveryHalfLifeAndAddsUpToOne) {
  const at::Tensor weights =
      kernels::RecencyWeights(kernels::Device::Cpu(), at::tensor({0, 3, 3, 4}, at::kLong), 4, 2);
  const double half = std::sqrt(0.5), total = 1 + half + 0.5;
  EXPECT_NEAR(weights[0].item<double>(), 0.5 / total, 1e-7);  // the oldest
  EXPECT_NEAR(weights[1].item<double>(), half / total, 1e-7);
  EXPECT_NEAR(weights[2].item<double>(), 1 / total, 1e-7);
  EXPECT_EQ(weights[3].item<double>(), 1);
}

TEST(PoolRowsTest, RecencyWithAVeryLongHalfLifeIsTheMean) {
  const at::Tensor rows = Rows();
  EXPECT_TRUE(at::allclose(PoolRecent(rows, kIndex, kOffsets, 1e12, kCpu),
                           PoolRows(rows, kIndex, kOffsets, BagPooling::kMean, kCpu), 1e-6));
  const at::Tensor long_list =
      kernels::RecencyWeights(kernels::Device::Cpu(), at::tensor({0, 5000}, at::kLong), 5000, 0.01);
  EXPECT_EQ(long_list[4999].item<float>(), 1);
  EXPECT_EQ(long_list[0].item<float>(), 0);
}

TEST(PoolRowsTest, WorksWithoutListsAndWithoutRows) {
  const at::Tensor none = at::empty({0}, at::kLong);
  for (const int64_t distinct : {0, 4}) {
    for (const int64_t lists : {0, 3}) {
      const at::Tensor rows = at::ones({distinct, 3}).requires_grad_();
      const at::Tensor offsets = at::zeros({lists + 1}, at::kLong);
      for (const at::Tensor& pooled : {PoolRows(rows, none, offsets, BagPooling::kMean, kCpu),
                                       PoolRecent(rows, none, offsets, 2, kCpu)}) {
        EXPECT_TRUE(at::equal(pooled.detach(), at::zeros({lists, 3})));
        pooled.sum().backward();
        EXPECT_TRUE(at::equal(rows.grad(), at::zeros({distinct, 3})));
      }
    }
  }
}

TEST(PoolRowsTest, PicksRowsAndSumsTheirGradients) {
  const at::Tensor rows = Rows(), index = at::tensor({3, 1, 3, 3, 0}, at::kLong);
  const at::Tensor picked = PickRows(rows, index, kCpu);
  EXPECT_TRUE(at::equal(picked.detach(), at::embedding(rows.detach(), index)));
  picked.backward(at::arange(15, at::kFloat).view({5, 3}));
  EXPECT_TRUE(at::equal(
      rows.grad(),
      at::tensor({12., 13., 14., 3., 4., 5., 0., 0., 0., 15., 18., 21.}, at::kFloat).view({4, 3})));
}

TEST(PoolRowsTest, PickingAllRowsInOrderCopiesNothing) {
  const at::Tensor rows = Rows();
  EXPECT_TRUE(PickRows(rows, at::arange(4, at::kLong), kCpu).is_same(rows));
  EXPECT_FALSE(PickRows(rows, at::arange(3, at::kLong), kCpu).is_same(rows));
  EXPECT_FALSE(PickRows(rows, at::tensor({0, 1, 3, 2}, at::kLong), kCpu).is_same(rows));
}

TEST(PoolRowsTest, EqualsEmbeddingBagOnManyListsAndAnyNumberOfThreads) {
  const int64_t n = 500, distinct = 90, width = 64;
  std::mt19937_64 random(7);
  const at::Tensor offsets = at::zeros({n + 1}, at::kLong);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < n; ++i) {
    for (uint64_t k = random() % 9; k > 0; --k)
      places.push_back(static_cast<int64_t>(random() % distinct));
    offsets[i + 1] = static_cast<int64_t>(places.size());
  }
  const at::Tensor index = at::tensor(places, at::kLong);
  const at::Tensor values =
      at::sin(at::arange(distinct * width, at::kFloat)).view({distinct, width});
  const at::Tensor toward = at::cos(at::arange(n * width, at::kFloat)).view({n, width});
  const at::Tensor expected_rows = values.clone().requires_grad_();
  const at::Tensor expected =
      std::get<0>(at::embedding_bag(expected_rows, index, offsets, false, /*mode=*/1, false,
                                    std::nullopt, /*include_last_offset=*/true));
  expected.backward(toward);
  at::Tensor first, first_grad;
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    const at::Tensor rows = values.clone().requires_grad_();
    const at::Tensor pooled = PoolRows(rows, index, offsets, BagPooling::kMean, kCpu);
    pooled.backward(toward);
    at::set_num_threads(1);
    EXPECT_TRUE(at::allclose(pooled.detach(), expected.detach(), 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(rows.grad(), expected_rows.grad(), 1e-5, 1e-5));
    if (!first.defined()) first = pooled.detach(), first_grad = rows.grad();
    EXPECT_TRUE(at::equal(pooled.detach(), first) && at::equal(rows.grad(), first_grad));
  }
}

}  // namespace
}  // namespace torii::model
