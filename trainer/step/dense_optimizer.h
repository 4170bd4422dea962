// SGD, Adagrad, Adam, AdamW on the flat dense weights, and the learning-rate schedule.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/named_state.h"
#include "model/dense_parameters.h"
#include "trainer/trainer.pb.h"

namespace torii::trainer {

// Factor on all learning rates at global step `step` (from 0) of `total_steps`: warm-up
// min(1, (step + 1) / warmup_steps), then the curve. State: the step alone.
double ScheduleFactor(const Schedule& schedule, int64_t step, int64_t total_steps);

class DenseOptimizer {
 public:
  // Borrows `parameters`, which must be allocated.
  DenseOptimizer(const DenseOptimizerConfig& config, model::DenseParameters& parameters);
  // One update from parameters.grad(). step: global, from 0.
  void Step(double learning_rate_factor, int64_t step);
  // Of each weight what the rule keeps: "user.trunk.0.weight.adam.m", ...
  void RegisterState(StateRegistry& registry);
  // Live views [P] of the same for all weights together, by kind and part.
  std::vector<std::pair<std::string, at::Tensor>> State();

 private:
  DenseOptimizerConfig config_;
  model::DenseParameters& parameters_;
  at::Tensor first_, second_;  // [P]: momentum or Adam m; Adagrad sum or Adam v
};

}  // namespace torii::trainer
