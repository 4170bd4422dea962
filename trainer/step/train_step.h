// ONE step of training, W ranks together. Read train_step.cc first: it is the story of the whole
// program.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "data/batch.h"
#include "model/loss/loss.h"
#include "sampler/negative_sampler.h"
#include "trainer/step/dense_optimizer.h"
#include "trainer/step/step_clock.h"
#include "trainer/step/step_plan.h"
#include "trainer/step/two_tower.h"

namespace torii::trainer {

struct StepResult {
  double loss = 0;           // mean over the global batch, weighted: the same on all ranks
  double weight_sum = 0;     // over the global batch
  double gradient_norm = 0;  // of the dense weights, before clipping
  int64_t columns = 0;       // U
};

// What a step trains and with what. Borrowed.
struct StepParts {
  TwoTower& towers;
  const sampler::NegativeSampler& sampler;
  model::Loss& loss;
  DenseOptimizer& dense_optimizer;
};

struct StepOptions {
  double clip_norm = 0;
  bool check_finite = true;
};

// Plans step `step` (global, from 0) on a global batch, of which `batch` is this rank's part.
// Adds to *time. Collective.
absl::StatusOr<StepPlan> PlanStep(const StepParts& parts, data::Batch batch, int64_t step,
                                  StepTime* time);

// Trains on what was planned. learning_rate_factor: from the schedule. A step whose loss or
// gradient is not finite changes nothing and is kDiverged, if asked to check. Adds to *time.
// Collective.
absl::StatusOr<StepResult> ComputeStep(const StepParts& parts, const StepPlan& plan,
                                       const StepOptions& options, double learning_rate_factor,
                                       StepTime* time);

// Both, one after the other.
absl::StatusOr<StepResult> TrainStep(const StepParts& parts, data::Batch batch,
                                     const StepOptions& options, int64_t step,
                                     double learning_rate_factor, StepTime* time);

}  // namespace torii::trainer
