#include "kernels/cuda/sums.h"

#include <vector>

#include "gtest/gtest.h"

namespace torii::kernels::cuda {
namespace {

struct Numbers {
  double operator()(int64_t i) const { return static_cast<double>(i % 7) + 0.5; }
};
struct KeepIn {
  double* out;
  void operator()(double sum) const { *out = sum; }
};

TEST(SumsTest, AddsUpAllNumbersWithTheWarpsInBothOrders) {
  for (const auto order : {emulation::Order::kForward, emulation::Order::kBackward}) {
    emulation::SetOrder(order);
    for (const int64_t size : {0, 1, 31, 129, 300, 8192, 8193, 20011}) {
      double expected = 0, got = -1;
      for (int64_t i = 0; i < size; ++i) expected += Numbers()(i);
      SumOf(Numbers(), size, KeepIn{&got});
      EXPECT_EQ(got, expected) << size;  // sums of halves are exact
    }
  }
  emulation::SetOrder(emulation::Order::kForward);
}

}  // namespace
}  // namespace torii::kernels::cuda
