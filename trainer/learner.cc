#include "trainer/learner.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace torii::trainer {

Learner::Learner(const TrainRun& run)
    : options_{.clip_norm = run.train.clip_norm(), .check_finite = run.train.check_finite()},
      loss_(model::MakeLoss(run.model.loss())) {}

absl::StatusOr<std::unique_ptr<Learner>> Learner::Create(comm::Communicator& comm,
                                                         const data::Dataset& dataset,
                                                         const TrainRun& run) {
  std::unique_ptr<Learner> learner(new Learner(run));
  TORII_ASSIGN_OR_RETURN(learner->towers_, TwoTower::Create(comm, dataset,
                                                            {run.model, run.tables, run.seed,
                                                             run.table, run.train.global_batch()}));
  TORII_ASSIGN_OR_RETURN(learner->sampler_, sampler::NegativeSampler::Create(
                                                run.sampler, dataset.item_counts(), run.seed));
  learner->optimizer_ =
      std::make_unique<DenseOptimizer>(run.train.dense(), learner->towers_->net().dense());
  return learner;
}

void Learner::RegisterState(StateRegistry& registry) {
  towers_->RegisterState(registry);
  optimizer_->RegisterState(registry);
}

absl::StatusOr<StepResult> Learner::Step(data::Batch batch, int64_t step,
                                         double learning_rate_factor, StepTime* time) {
  return TrainStep({*towers_, *sampler_, *loss_, *optimizer_}, std::move(batch), options_, step,
                   learning_rate_factor, time);
}

std::vector<std::string> Learner::Description() const {
  std::vector<std::string> lines = towers_->Description();
  lines.push_back(absl::StrCat("negatives: ", sampler_->Description()));
  lines.push_back(absl::StrCat("loss: ", loss_->Description()));
  return lines;
}

}  // namespace torii::trainer
