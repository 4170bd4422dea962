// From the trunk to the vector of a user or item.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ATen/core/Tensor.h"
#include "model/dense_parameters.h"
#include "model/head/head.pb.h"
#include "model/layers.h"
#include "model/trunk/trunk.h"

namespace torii::model {

class Head {
 public:
  // An optional linear layer, and the scaling of rows to length 1.
  Head(std::optional<Linear> linear, bool normalize);
  // [n, H] -> [n, D].
  at::Tensor Forward(LayeredRows rows) const;

 private:
  const std::optional<Linear> linear_;
  const bool normalize_;
};

struct HeadPlace {
  std::string name, init_key;  // prefixes of the weights: "user.head", "user.final"
  int64_t in = 0, dim = 0;     // H, D
  bool has_linear = true;
  bool normalize = false;
};

// Registers the weights in `parameters`, which is borrowed.
Head MakeHead(const HeadPlace& place, DenseParameters& parameters);

}  // namespace torii::model
