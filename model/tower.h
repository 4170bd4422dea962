// A tower: looked-up rows and floats in, one vector of width D per user or item out. Knows nothing
// of ranks, tables or ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "model/dense_parameters.h"
#include "model/linear_layers.h"
#include "model/model.pb.h"
#include "model/model_plan.h"

namespace torii::model {

// The rows of one embedded source (kId, kSingle, kBag, kHistory).
struct EmbeddedInput {
  at::Tensor rows;     // [distinct, E] float32; a leaf if gradients are wanted; may be shared by
                       // several inputs
  at::Tensor index;    // int64 into rows: [n] (kId, kSingle) or [nnz] (kBag, kHistory)
  at::Tensor offsets;  // [n + 1] int64 (kBag, kHistory); undefined otherwise
};

struct TowerInput {
  int64_t n = 0;
  std::vector<EmbeddedInput> embedded;  // one per embedded source, in plan order
  std::vector<at::Tensor>
      dense;               // [n, width] float32, one per kDense and kVector source, in plan order
  at::Tensor dropout_key;  // [n] int64: global position of the row, or item row; undefined: none
};

// What dropout depends on besides the key: the same mask on any number of ranks.
struct DropoutStep {
  bool training = false;
  uint64_t seed = 0;
  int64_t step = 0;
};

class Tower {
 public:
  // Registers the tower's weights; they exist after parameters.Allocate(). `parameters` is
  // borrowed.
  Tower(const TowerPlan& plan, const TowerConfig& config, int64_t dim, bool normalize,
        DenseParameters& parameters);
  // [n, D]. Row i depends on row i of the input alone. n may be 0. Empty bags and histories pool to
  // zero. Differentiable with respect to the rows and the dense weights (autograd of the calling
  // thread).
  at::Tensor Forward(const TowerInput& input, const DropoutStep& dropout) const;
  const TowerPlan& plan() const { return plan_; }

 private:
  // A linear layer; indices of its weights in *parameters_.
  struct Linear {
    int weight = -1, bias = -1;
  };
  struct HiddenLayer {
    Linear linear;
    int norm_weight = -1, norm_bias = -1;  // -1: no LayerNorm
  };
  struct LayerName {
    std::string name, init_key;
  };
  Linear AddLinear(const LayerName& layer, int64_t in, int64_t out, Init init);
  LinearWeights Weights(const Linear& linear) const;
  at::Tensor Join(const TowerInput& input) const;  // [n, joined_width]
  bool Drops(const TowerInput& input, const DropoutStep& dropout) const;
  // [n, D] from the joined inputs.
  at::Tensor Layers(at::Tensor x, const TowerInput& input, const DropoutStep& dropout) const;

  TowerPlan plan_;
  TowerConfig config_;
  int64_t dim_;
  bool normalize_;
  DenseParameters* parameters_;
  std::vector<Linear> inputs_;  // of the sources that have one, in plan order
  std::vector<HiddenLayer> hidden_;
  Linear final_;
};

}  // namespace torii::model
