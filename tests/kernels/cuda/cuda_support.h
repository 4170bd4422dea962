// What the tests of a GPU's kernels share. They run over the emulation; where TORII_CUDA_PLUGIN names
// the plug-in, on the first GPU instead, and are skipped where there is none.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/emulation.h"
#include "kernels/cuda_plugin.h"
#include "kernels/device.h"
#include "kernels/host_tensors.h"
#include "kernels/random_rows.h"

namespace torii::kernels::cuda {

inline const Device kCpu = Device::Cpu();

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Found().ok()) GTEST_SKIP() << Found().status().message();
  }
  static const Device& Gpu() { return *Found(); }
  static bool IsEmulated() { return Gpu().torch().is_cpu(); }
  // A tensor where the tested kernels read it, and back on the host.
  static at::Tensor There(const at::Tensor& x) { return x.defined() ? x.to(Gpu().torch()) : x; }
  static at::Tensor Back(const at::Tensor& x) { return x.cpu(); }

 private:
  static absl::StatusOr<Device> Find() {
    const char* const path = std::getenv("TORII_CUDA_PLUGIN");
    if (path == nullptr) return Device::Emulated();
    TORII_ASSIGN_OR_RETURN(const CudaPlugin* plugin, OpenCudaPlugin(path));
    TORII_RETURN_IF_ERROR(CountGpus(*plugin).status());
    return CudaDevice(*plugin, 0);
  }
  static const absl::StatusOr<Device>& Found() {
    static const absl::StatusOr<Device> kFound = Find();
    return kFound;
  }
};

// Calls test() with the warps of a block, and plain threads, in both orders.
template <class Test>
void InBothOrders(const Test& test) {
  for (const auto order : {emulation::Order::kForward, emulation::Order::kBackward}) {
    SCOPED_TRACE(order == emulation::Order::kForward ? "warps forward" : "warps backward");
    emulation::SetOrder(order);
    test();
    emulation::SetOrder(emulation::Order::kForward);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// Normal numbers that `purpose` tells apart.
inline at::Tensor Normals(at::IntArrayRef sizes, const std::string& purpose) {
  at::Tensor x = at::empty(sizes, at::kFloat);
  FillNormalRows(kCpu, RandomStream(3, purpose), 0, 1, 1, x.view({1, -1}));
  return x;
}

// [n] int64 in [0, bound); small numbers are more frequent by far.
inline at::Tensor SkewedIndices(int64_t n, int64_t bound, const std::string& purpose) {
  const RandomStream random(5, purpose);
  FilledTensor<int64_t> filled(n);
  for (int64_t i = 0; i < n; ++i) {
    const double u = random.Uniform(static_cast<uint64_t>(i));
    filled.values()[static_cast<size_t>(i)] =
        static_cast<int64_t>(u * u * u * static_cast<double>(bound));
  }
  return filled.take();
}

// To `bound` of each number, and of the greatest where that is above 1.
inline void ExpectNear(const at::Tensor& got_there, const at::Tensor& want, double bound,
                       const char* what) {
  const at::Tensor got = got_there.cpu();
  ASSERT_EQ(got.sizes(), want.sizes()) << what;
  if (got.numel() == 0) return;
  const double largest = std::max(1.0, want.abs().max().item<double>());
  EXPECT_TRUE(at::allclose(got, want, bound, bound * largest))
      << what << ": " << (got - want).abs().max().item<double>();
}

}  // namespace torii::kernels::cuda
