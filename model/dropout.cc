#include "model/dropout.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <span>

#include "base/check.h"
#include "base/parallel_for.h"

namespace torii::model {

at::Tensor DropoutMask(const RandomStream& stream, const at::Tensor& key, int64_t width,
                       double drop) {
  TORII_CHECK(drop >= 0 && drop < 1, "dropout ", drop);
  at::Tensor mask = at::empty({key.numel(), width}, at::kFloat);
  const at::Tensor keys = key.contiguous();
  const int64_t* row_key = keys.const_data_ptr<int64_t>();
  float* out = mask.mutable_data_ptr<float>();
  const auto threshold = static_cast<float>(drop), kept = static_cast<float>(1 / (1 - drop));
  ParallelFor(0, key.numel(), /*grain_size=*/64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::span<float> row(out + i * width, static_cast<size_t>(width));
      stream.UniformRow(static_cast<uint64_t>(row_key[i]), row);
      for (float& x : row) x = x < threshold ? 0.0F : kept;
    }
  });
  return mask;
}

}  // namespace torii::model
