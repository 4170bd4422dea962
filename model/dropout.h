// Dropout of the rows of a pass through a tower, whose masks are a pure function of (seed, layer,
// step, key of the row): the same on any number of ranks.
#pragma once

#include <cstdint>
#include <string>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::model {

// What dropout depends on besides the layer and the key.
struct DropoutStep {
  bool training = false;
  uint64_t seed = 0;
  int64_t step = 0;
};

class RowDropout {
 public:
  // side: "user" or "item". key: [n] int64, or undefined: no dropout.
  RowDropout(std::string side, const DropoutStep& step, at::Tensor key,
             const kernels::Device& device = kernels::Device::Cpu());
  bool is_on() const { return step_.training && key_.defined(); }
  // x [n, width] with dropout, if is_on(): each float becomes 0 with probability `drop`, else it is
  // multiplied by 1 / (1 - drop). `layer` names the stream of random numbers: no two layers of a
  // tower share a name.
  at::Tensor Apply(const at::Tensor& x, const std::string& layer, double drop) const;

 private:
  const std::string side_;
  const DropoutStep step_;
  const at::Tensor key_;
  const kernels::Device device_;
};

}  // namespace torii::model
