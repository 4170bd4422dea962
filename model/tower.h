// A tower: looked-up rows and floats in, one vector of width D per user or item out. It only calls
// its parts in order: an encoder for each input, the join, the trunks, the head. Knows nothing of
// ranks, tables or ids.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"
#include "model/dense_parameters.h"
#include "model/dropout.h"
#include "model/encoder/encoder.h"
#include "model/head/head.h"
#include "model/join/join.h"
#include "model/model.pb.h"
#include "model/model_plan.h"
#include "model/trunk/trunk.h"

namespace torii::model {

struct TowerInput {
  int64_t n = 0;
  std::vector<EncoderInput> inputs;  // one for each source, in plan order
  at::Tensor dropout_key;  // [n] int64: global position of the row, or item row; undefined: none
};

// What both towers of a model have in common.
struct TowerOutput {
  int64_t dim = 0;         // D
  bool normalize = false;  // scale the vectors to length 1
  std::shared_ptr<const Trunk> shared_trunk = nullptr;
};

class Tower {
 public:
  // Registers the tower's weights; they exist after parameters.Allocate(). `parameters` is
  // borrowed.
  Tower(const TowerPlan& plan, const TowerConfig& config, const TowerOutput& output,
        DenseParameters& parameters);
  // [n, D]. Row i depends on row i of the input alone. n may be 0. Empty bags pool to zero.
  // Differentiable with respect to the rows and the dense weights (autograd of the calling thread).
  at::Tensor Forward(const TowerInput& input, const DropoutStep& step) const;
  // Whether a vector of a training step depends on the row's dropout key.
  bool has_dropout() const;
  const TowerPlan& plan() const { return plan_; }

 private:
  // Whether each vector is a function of one embedding row, and there are no more distinct rows
  // than vectors: then the layers may run on the distinct rows.
  bool FollowsDistinctRows(const TowerInput& input, const RowDropout& dropout) const;
  at::Tensor Encode(size_t source, const TowerInput& input, const RowDropout& dropout) const;
  // [n, D] from the joined inputs.
  at::Tensor AfterJoin(const at::Tensor& joined, const RowDropout& dropout) const;

  const TowerPlan plan_;
  const kernels::Device device_;
  std::vector<std::unique_ptr<Encoder>> encoders_;  // of the plan's sources
  const std::unique_ptr<Join> join_;
  const std::unique_ptr<Trunk> trunk_;
  const std::shared_ptr<const Trunk> shared_trunk_;  // may be none
  const Head head_;
};

}  // namespace torii::model
