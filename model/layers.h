// Layers that own weights: what the parts of a model are made of.
#pragma once

#include <cstdint>
#include <string>

#include "ATen/core/Tensor.h"
#include "model/dense_parameters.h"
#include "model/linear_layers.h"

namespace torii::model {

// init_key: what the first values depend on besides the seed (ParameterInfo); empty: the name.
struct LayerName {
  std::string name, init_key = "";
};

// Registers the weight [out, in] ("<name>.weight", decays) and bias [out] ("<name>.bias", starts at
// 0) of a linear layer. `parameters` is borrowed by all layers.
class Linear {
 public:
  Linear(const LayerName& name, int64_t in, int64_t out, Init init, DenseParameters& parameters);
  LinearWeights weights() const;
  // [n, in] -> [n, out].
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  const DenseParameters* parameters_;
  int weight_, bias_;
};

// Each row of [n, width] scaled to mean 0 and variance 1, then times "<name>.weight" plus
// "<name>.bias" (Ba et al., 2016).
class LayerNorm {
 public:
  LayerNorm(const LayerName& name, int64_t width, DenseParameters& parameters);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  const DenseParameters* parameters_;
  int weight_, bias_;
};

}  // namespace torii::model
