// All that a step of training changes: towers and tables, the sampler of negatives, the dense
// optimizer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/named_state.h"
#include "comm/communicator.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "model/loss/loss.h"
#include "sampler/negative_sampler.h"
#include "trainer/step/dense_optimizer.h"
#include "trainer/step/past_vectors.h"
#include "trainer/step/step_clock.h"
#include "trainer/step/train_step.h"
#include "trainer/step/two_tower.h"
#include "trainer/train_run.h"

namespace torii::trainer {

class Learner {
 public:
  // Borrows comm and dataset. Not collective.
  static absl::StatusOr<std::unique_ptr<Learner>> Create(comm::Communicator& comm,
                                                         const data::Dataset& dataset,
                                                         const TrainRun& run);
  void RegisterState(StateRegistry& registry);
  // Plans and starts step number `step` (from 0) with learning rates times `learning_rate_factor`.
  // Collective.
  absl::StatusOr<PendingStep> Start(data::Batch batch, int64_t step, double learning_rate_factor,
                                    StepTime* time);
  // The numbers of a step that was started; kDiverged if they are not finite. Local.
  absl::StatusOr<StepResult> Collect(const PendingStep& pending);
  // Whether a step is best collected when the next one has been started.
  bool collects_late() const;
  // Lines for the start of the log.
  std::vector<std::string> Description() const;
  TwoTower& towers() { return *towers_; }

 private:
  explicit Learner(const TrainRun& run);

  const StepOptions options_;
  std::unique_ptr<TwoTower> towers_;
  std::unique_ptr<sampler::NegativeSampler> sampler_;
  std::unique_ptr<model::Loss> loss_;
  std::unique_ptr<DenseOptimizer> optimizer_;
  std::optional<PastVectors> past_vectors_;
  StepPlan plan_;
};

}  // namespace torii::trainer
