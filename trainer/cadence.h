// When a run logs, evaluates, saves and ends.
#pragma once

#include <cstdint>

#include "trainer/run_state.pb.h"
#include "trainer/trainer.pb.h"

namespace torii::trainer {

class Cadence {
 public:
  // steps_per_epoch >= 1. can_evaluate: there is something held out.
  Cadence(const TrainConfig& config, int64_t steps_per_epoch, bool can_evaluate)
      : config_(config), steps_per_epoch_(steps_per_epoch), can_evaluate_(can_evaluate) {}

  // Moves `position` past a step of `rows` training rows over all ranks.
  void Advance(int64_t rows, RunPosition* position) const;
  // Moves a position that lies behind the last step of its epoch to the start of the next epoch.
  // Returns whether it did.
  bool FitEpoch(RunPosition* position) const;
  // How many steps the whole run has.
  int64_t total_steps() const;

  // These ask about the moment after position.step() steps. At the end of the run everything is
  // due.
  bool AtEnd(const RunPosition& position) const { return position.step() >= total_steps(); }
  bool LogDue(const RunPosition& position) const;
  bool EvaluationDue(const RunPosition& position) const;
  bool SaveDue(const RunPosition& position) const;

 private:
  bool AtEndOf(const RunPosition& position, int64_t every_epochs, int64_t every_steps) const;

  const TrainConfig config_;
  const int64_t steps_per_epoch_;
  const bool can_evaluate_;
};

}  // namespace torii::trainer
