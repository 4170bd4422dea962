// The strict device of the tests does what a GPU does where tensors are mixed up or read back.
#include "tests/support/elsewhere_device.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/host_tensors.h"
#include "kernels/pooled_rows.h"
#include "kernels/softmax.h"

namespace torii::kernels {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using torii::testing::DeviceWaits;
using torii::testing::Elsewhere;

at::TensorOptions Floats() { return at::TensorOptions(Elsewhere().torch()).dtype(at::kFloat); }

std::string ErrorOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "none";
}

TEST(ElsewhereDeviceTest, OperationsHaveTheBitsOfTheCpu) {
  const auto compute = [](const at::TensorOptions& options) {
    const at::Tensor x = at::arange(12, options).view({3, 4}).div(7).requires_grad_();
    const at::Tensor w = at::full({5, 4}, 0.3, options).requires_grad_();
    const at::Tensor hidden = at::relu(at::linear(x, w, at::zeros({5}, options)));
    const at::Tensor normal =
        at::layer_norm(hidden + x.narrow(1, 0, 1), {5}, at::ones({5}, options), {}, 1e-5);
    const at::Tensor loss = (normal * normal.t().contiguous().view({3, 5})).sum() + x.exp().sum();
    torch::autograd::backward({loss}, {at::ones_like(loss)});
    return std::pair(x.grad().cpu(), w.grad().cpu());
  };
  const auto want = compute(at::kFloat), got = compute(Floats());
  EXPECT_TRUE(at::equal(got.first, want.first));
  EXPECT_TRUE(at::equal(got.second, want.second));
}

TEST(ElsewhereDeviceTest, ViewsShareMemoryAndResultsMayGrow) {
  at::Tensor x = at::zeros({4, 3}, Floats());
  x.narrow(0, 1, 2).select(1, 2).fill_(5);
  EXPECT_EQ(x.sum().item<float>(), 10);
  at::Tensor grown = at::empty({0}, Floats());
  grown.resize_({2, 2});
  grown.fill_(1);
  EXPECT_EQ(grown.cpu().sum().item<float>(), 4);
  const auto [values, order] = at::sort(at::arange(3, Floats()), 0, /*descending=*/true);
  EXPECT_THAT(ListOf<int64_t>(order), ElementsAre(2, 1, 0));
  EXPECT_EQ(values.device(), Elsewhere().torch());
}

TEST(ElsewhereDeviceTest, TensorsOfTheHostAreRefused) {
  const at::Tensor x = at::ones({3, 2}, Floats());
  const at::Tensor index = at::zeros({2}, at::kLong);
  EXPECT_THAT(ErrorOf([&] { x.index_select(0, index); }), HasSubstr("index_select"));
  EXPECT_THAT(ErrorOf([&] { x + at::ones({3, 2}); }), HasSubstr("same device"));
  EXPECT_THAT(ErrorOf([&] { at::cat({x, at::ones({3, 2})}); }), HasSubstr("cat"));
  // As on a GPU: numbers of the host are numbers.
  EXPECT_EQ((x * at::full({}, 2.0)).sum().item<float>(), 12);
}

// Kernels see pointers alone.
TEST(ElsewhereDeviceDeathTest, KernelsRefuseTensorsOfTheHost) {
  const at::Tensor rows = at::ones({3, 2}, Floats()), index = at::zeros({2}, at::kLong);
  EXPECT_DEATH((void)PoolRows(Elsewhere(), rows, {index, {}, {}, {}}),
               "PoolRows: .*Long.* of 2 elements on cpu, expected on elsewhere:0");
  EXPECT_DEATH((void)PoolRows(Device::Emulated(), rows, {index, {}, {}, {}}),
               "PoolRows: .* on elsewhere:0, expected on cpu");
}

TEST(ElsewhereDeviceTest, NotesWhatACallerWaitsFor) {
  const at::Tensor x = at::ones({3}, Floats()).requires_grad_();
  const DeviceWaits waits;
  const at::Tensor there = TensorOf(std::vector<float>{1, 2}, Elsewhere());
  const at::Tensor sum = (x * x).sum();
  torch::autograd::backward({sum}, {at::ones_like(sum)});
  EXPECT_THAT(waits.list(), IsEmpty());
  EXPECT_EQ(ListOf<float>(there), std::vector<float>({1, 2}));
  (void)sum.item<float>();
  (void)at::nonzero(there);
  (void)at::ones({3}).to(Elsewhere().torch());
  EXPECT_THAT(waits.list(),
              ElementsAre("copy to the host of Float [2]", "aten::_local_scalar_dense",
                          "aten::nonzero", "copy to the device of Float [3]"));
}

// Rows that share a query, excluded columns, and no whole vectors of columns.
SoftmaxTensors SmallLoss(const Device& device) {
  const auto there = [&](const at::Tensor& x) { return x.to(device.torch()); };
  return {.q = there(at::arange(8, at::kFloat).view({2, 4}).div(8)),
          .v = there(at::arange(20, at::kFloat).view({5, 4}).div(20)),
          .column_offset = there(at::arange(5, at::kFloat)),
          .row_begin = there(TensorOf(std::vector<int64_t>{0, 2, 3})),
          .positive = there(TensorOf(std::vector<int64_t>{1, 4, 0})),
          .positive_offset = there(at::ones({3})),
          .target_offset = there(at::zeros({3})),
          .weight = there(at::ones({3})),
          .excluded_begin = there(TensorOf(std::vector<int64_t>{0, 2, 2})),
          .excluded = there(TensorOf(std::vector<int64_t>{1, 3}))};
}

SoftmaxResults EmptyResults(const Device& device) {
  const at::TensorOptions floats = at::TensorOptions(device.torch()).dtype(at::kFloat);
  return {at::empty({1}, floats.dtype(at::kDouble)), at::empty({3}, floats.dtype(at::kDouble)),
          at::empty({2, 4}, floats), at::empty({5, 4}, floats)};
}

TEST(ElsewhereDeviceTest, TheFloat32LossWaitsForNothing) {
  const SoftmaxTensors tensors = SmallLoss(Elsewhere());
  const SoftmaxResults got = EmptyResults(Elsewhere());
  {
    const DeviceWaits waits;
    Softmax(Elsewhere(), SoftmaxPrecision::kFloat32).Compute(tensors, got);
    EXPECT_THAT(waits.list(), IsEmpty());
  }
  const Device emulated = Device::Emulated();
  const SoftmaxResults want = EmptyResults(emulated);
  Softmax(emulated, SoftmaxPrecision::kFloat32).Compute(SmallLoss(emulated), want);
  EXPECT_TRUE(at::equal(got.loss.cpu(), want.loss));
  EXPECT_TRUE(at::equal(got.q_grad.cpu(), want.q_grad));
  EXPECT_TRUE(at::equal(got.v_grad.cpu(), want.v_grad));
}

}  // namespace
}  // namespace torii::kernels
