#include "kernels/random_rows.h"

#include <ATen/ATen.h>

#include "gtest/gtest.h"

namespace torii::kernels {
namespace {

TEST(DropoutMaskTest, DropsTheShareAndScalesTheRest) {
  const at::Tensor mask = DropoutMask(Device::Cpu(), RandomStream(1, "dropout:user.0", 3),
                                      at::arange(200, at::kLong), 101, 0.3);
  const double dropped = (mask == 0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(dropped, 0.3, 0.01);
  EXPECT_TRUE(at::logical_or(mask == 0, (mask - 1 / 0.7).abs() < 1e-6).all().item<bool>());
}

TEST(DropoutMaskTest, RowFollowsItsKey) {
  const RandomStream stream(1, "dropout:item.0", 3);
  const at::Tensor all = DropoutMask(Device::Cpu(), stream, at::arange(100, at::kLong), 7, 0.5);
  const at::Tensor some =
      DropoutMask(Device::Cpu(), stream, at::tensor({99, 0, 42, 42}, at::kLong), 7, 0.5);
  EXPECT_TRUE(at::equal(some, all.index_select(0, at::tensor({99, 0, 42, 42}, at::kLong))));
  EXPECT_FALSE(at::equal(all, DropoutMask(Device::Cpu(), RandomStream(1, "dropout:item.1", 3),
                                          at::arange(100, at::kLong), 7, 0.5)));
}

TEST(DropoutMaskTest, KeepsEverythingAtZeroAndTakesNoRows) {
  const RandomStream stream(1, "dropout:user.0");
  EXPECT_TRUE(at::equal(DropoutMask(Device::Cpu(), stream, at::arange(5, at::kLong), 3, 0),
                        at::ones({5, 3})));
  EXPECT_EQ(DropoutMask(Device::Cpu(), stream, at::empty({0}, at::kLong), 3, 0.5).sizes(),
            at::IntArrayRef({0, 3}));
}

}  // namespace
}  // namespace torii::kernels
