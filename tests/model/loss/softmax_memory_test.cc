#include <ATen/ATen.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "model/loss/fused_softmax.h"

namespace torii::model {
namespace {

// A line of /proc/self/status, in MB.
double StatusMb(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  return -1;
}

// Makes the peak of resident memory (VmHWM) start again from what is resident now.
bool ResetPeak() {
  std::ofstream("/proc/self/clear_refs") << "5";
  return StatusMb("VmHWM") >= 0 && StatusMb("VmHWM") < StatusMb("VmRSS") + 4;
}

TEST(SoftmaxMemoryTest, StaysFarBelowTheFullMatrix) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory counts too";
#endif
  constexpr int64_t kRows = 8192, kColumns = 8192, kDim = 64;
  SoftmaxProblem p;
  p.q = at::ones({kRows, kDim});
  p.v = at::ones({kColumns, kDim});
  p.column_offset = at::zeros({kColumns});
  p.positive = at::arange(kRows, at::kLong);
  p.positive_offset = at::zeros({kRows});
  p.target_offset = at::zeros({kRows});
  p.weight = at::full({kRows}, 1.0 / kRows);
  p.rows = RowGroups::OneEach(kRows);
  p.temperature = 1;
  // What libraries set up on their first call is not the loss's.
  SoftmaxProblem small = p;
  for (at::Tensor* t :
       {&small.q, &small.positive, &small.positive_offset, &small.target_offset, &small.weight}) {
    *t = t->narrow(0, 0, 64);
  }
  small.rows = RowGroups::OneEach(64);
  FusedSoftmax().Compute(small);
  if (!ResetPeak()) GTEST_SKIP() << "/proc/self/clear_refs may not be written here";
  const double before = StatusMb("VmRSS");
  FusedSoftmax loss;
  const auto result = loss.Compute(p);
  const double outputs = (kRows + kColumns) * kDim * 4.0 / (1 << 20);
  EXPECT_LT(StatusMb("VmHWM") - before - outputs, 64);
  EXPECT_NEAR(result.value.item<double>(), 9.010913, 1e-4);  // log 8192
}

}  // namespace
}  // namespace torii::model
