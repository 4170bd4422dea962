#include "trainer/cadence.h"

#include <algorithm>

namespace torii::trainer {

void Cadence::Advance(int64_t rows, RunPosition* position) const {
  position->set_step(position->step() + 1);
  position->set_rows_seen(position->rows_seen() + rows);
  position->set_step_in_epoch(position->step_in_epoch() + 1);
  FitEpoch(position);
}

bool Cadence::FitEpoch(RunPosition* position) const {
  if (position->step_in_epoch() < steps_per_epoch_) return false;
  position->set_epoch(position->epoch() + 1);
  position->set_step_in_epoch(0);
  return true;
}

int64_t Cadence::total_steps() const {
  const int64_t all = config_.epochs() * steps_per_epoch_;
  return config_.max_steps() > 0 ? std::min(all, config_.max_steps()) : all;
}

bool Cadence::LogDue(const RunPosition& position) const {
  const int64_t every = config_.log_every();
  return (every > 0 && position.step() % every == 0) || AtEnd(position);
}

bool Cadence::EvaluationDue(const RunPosition& position) const {
  return can_evaluate_ && (AtEnd(position) || AtEndOf(position, config_.eval_every_epochs(),
                                                      config_.eval_every_steps()));
}

bool Cadence::SaveDue(const RunPosition& position) const {
  const CheckpointConfig& checkpoint = config_.checkpoint();
  return AtEnd(position) || AtEndOf(position, checkpoint.every_epochs(), checkpoint.every_steps());
}

bool Cadence::AtEndOf(const RunPosition& position, int64_t every_epochs,
                      int64_t every_steps) const {
  if (every_steps > 0 && position.step() % every_steps == 0) return true;
  return every_epochs > 0 && position.step_in_epoch() == 0 && position.epoch() % every_epochs == 0;
}

}  // namespace torii::trainer
