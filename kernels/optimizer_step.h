// From the settings of an optimizer to the numbers of one of its steps.
#pragma once

#include <cstdint>

#include "kernels/device_kernels.h"

namespace torii::kernels {

// What a configuration says about an optimizer, whichever weights it is for.
struct OptimizerSettings {
  OptimizerRule rule = OptimizerRule::kSgd;
  double learning_rate = 0;
  double epsilon = 0;
  double beta1 = 0, beta2 = 0;
  double momentum = 0;
  // Weight decay: decay * w is added to the gradient of w (L2), or, with `decoupled`, learning_rate
  // * decay * w is taken from w (AdamW).
  double decay = 0;
  bool decoupled = false;
};

// Where Adam's correction of the bias of its moments stands. The two differ in roundings alone; for
// dense weights it costs nothing in the rate and the root, rows have had it in their moments from
// the start.
enum class BiasCorrection { kInMoments, kInRate };

// The step number `step` (global, from 0) with all rates times `factor` (the schedule's).
OptimizerStep StepOf(const OptimizerSettings& settings, double factor, int64_t step,
                     BiasCorrection correction);

}  // namespace torii::kernels
