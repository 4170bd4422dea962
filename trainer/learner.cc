#include "trainer/learner.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace torii::trainer {

Learner::Learner(const TrainRun& run)
    : options_{.clip_norm = run.train.clip_norm(), .check_finite = run.train.check_finite()},
      loss_(model::MakeLoss(run.model.loss(), run.device)) {}

absl::StatusOr<std::unique_ptr<Learner>> Learner::Create(comm::Communicator& comm,
                                                         const data::Dataset& dataset,
                                                         const TrainRun& run) {
  std::unique_ptr<Learner> learner(new Learner(run));
  TORII_ASSIGN_OR_RETURN(learner->towers_,
                         TwoTower::Create(comm, dataset,
                                          {run.model, run.tables, run.seed, run.table,
                                           run.train.global_batch(), run.device}));
  TORII_ASSIGN_OR_RETURN(learner->sampler_, sampler::NegativeSampler::Create(
                                                run.sampler, dataset.item_counts(), run.seed));
  learner->past_vectors_.emplace(learner->sampler_->num_slots(),
                                 learner->towers_->net().config().dim(), run.device);
  learner->optimizer_ =
      std::make_unique<DenseOptimizer>(run.train.dense(), learner->towers_->net().dense());
  return learner;
}

void Learner::RegisterState(StateRegistry& registry) {
  towers_->RegisterState(registry);
  optimizer_->RegisterState(registry);
  sampler_->RegisterState(registry);
  past_vectors_->RegisterState(registry);
}

absl::StatusOr<PendingStep> Learner::Start(data::Batch batch, int64_t step,
                                           double learning_rate_factor, StepTime* time) {
  TORII_RETURN_IF_ERROR(PlanStep(towers_->comm(), {*towers_, *sampler_, loss_->needs()},
                                 std::move(batch), step, &plan_, time));
  return ComputeStep({*towers_, *loss_, *optimizer_, *past_vectors_}, plan_, options_,
                     learning_rate_factor, time);
}

absl::StatusOr<StepResult> Learner::Collect(const PendingStep& pending) {
  return trainer::Collect(pending, *loss_, options_.check_finite);
}

bool Learner::collects_late() const {
  return towers_->net().dense().device().pace() == kernels::Device::Pace::kBehindCalls;
}

std::vector<std::string> Learner::Description() const {
  std::vector<std::string> lines = towers_->Description();
  lines.push_back(absl::StrCat("negatives: ", sampler_->Description()));
  lines.push_back(absl::StrCat("loss: ", loss_->Description()));
  return lines;
}

}  // namespace torii::trainer
