#include "trainer/tensor_view.h"

#include <ATen/ATen.h>

#include "base/check.h"

namespace torii::trainer {

at::Tensor ViewOf(std::span<const int64_t> values) {
  const auto n = static_cast<int64_t>(values.size());
  if (n == 0) return at::empty({0}, at::kLong);
  return at::from_blob(const_cast<int64_t*>(values.data()), {n}, at::kLong);
}

at::Tensor ViewOf(std::span<const float> values, int64_t rows, int64_t width) {
  TORII_CHECK(static_cast<int64_t>(values.size()) == rows * width, values.size(),
              " floats are not ", rows, " x ", width);
  if (values.empty()) return at::empty({rows, width}, at::kFloat);
  return at::from_blob(const_cast<float*>(values.data()), {rows, width}, at::kFloat);
}

std::span<const int64_t> SpanOf(const at::Tensor& int64_tensor) {
  return {int64_tensor.const_data_ptr<int64_t>(), static_cast<size_t>(int64_tensor.numel())};
}

}  // namespace torii::trainer
