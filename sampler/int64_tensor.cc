#include "sampler/int64_tensor.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace torii::sampler {

at::Tensor TensorOf(std::span<const int64_t> values) {
  at::Tensor out = at::empty({std::ssize(values)}, at::kLong);
  std::copy(values.begin(), values.end(), out.mutable_data_ptr<int64_t>());
  return out;
}

}  // namespace torii::sampler
