// SGD, Adagrad, Adam, AdamW on the flat dense weights, and the learning-rate schedule.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/named_state.h"
#include "kernels/update_gate.h"
#include "model/dense_parameters.h"
#include "trainer/trainer.pb.h"

namespace torii::trainer {

// The factor on all learning rates at global step `step` (from 0) of `total_steps`: during the
// warm-up (step + 1) / warmup_steps, then the curve of schedule.kind. Depends on the arguments
// alone.
double ScheduleFactor(const Schedule& schedule, int64_t step, int64_t total_steps);

class DenseOptimizer {
 public:
  // Borrows `parameters`, which must be allocated.
  DenseOptimizer(const DenseOptimizerConfig& config, model::DenseParameters& parameters);
  // One update from parameters.grad().
  void Step(const kernels::UpdateTerms& terms);
  // Registers what the rule keeps for each weight: "user.trunk.0.weight.adam.m", ...
  void RegisterState(StateRegistry& registry);
  // The same as live tensors [P] for all weights together, by name.
  std::vector<std::pair<std::string, at::Tensor>> State();

 private:
  DenseOptimizerConfig config_;
  model::DenseParameters& parameters_;
  at::Tensor first_, second_;  // [P]: momentum or Adam m; Adagrad sum or Adam v
};

}  // namespace torii::trainer
