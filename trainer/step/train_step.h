// The computation of ONE step of training, W ranks together. Read train_step.cc first: it is the
// story of the whole program.
#pragma once

#include "absl/status/statusor.h"
#include "model/loss/loss.h"
#include "trainer/step/dense_optimizer.h"
#include "trainer/step/past_vectors.h"
#include "trainer/step/pending_step.h"
#include "trainer/step/step_clock.h"
#include "trainer/step/step_plan.h"
#include "trainer/step/two_tower.h"

namespace torii::trainer {

// What a step trains and with what. Borrowed.
struct StepParts {
  TwoTower& towers;
  model::Loss& loss;
  DenseOptimizer& dense_optimizer;
  PastVectors& past_vectors;
};

struct StepOptions {
  double clip_norm = 0;
  bool check_finite = true;
};

// Trains on what was planned, and waits for nothing that its device computes: the numbers of the
// step are collected later. If asked to check, a step whose loss or gradient is not finite changes
// nothing, nor does any step after it. learning_rate_factor: from the schedule. The plan is kept
// until the next one is computed. Adds to *time. Collective.
absl::StatusOr<PendingStep> ComputeStep(const StepParts& parts, StepPlan& plan,
                                        const StepOptions& options, double learning_rate_factor,
                                        StepTime* time);

}  // namespace torii::trainer
