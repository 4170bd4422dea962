// The best evaluation so far, and when to stop waiting for a better one.
#pragma once

#include <cstdint>
#include <string>

#include "base/named_state.h"
#include "trainer/run_state.pb.h"

namespace torii::trainer {

class EarlyStopping {
 public:
  // measure: all that an evaluation's value depends on besides the weights (metric, part, masks).
  // patience: evaluations without gain until the run stops; 0: it never does.
  EarlyStopping(std::string measure, int64_t patience);

  // Registers the message "early_stopping". This object must outlive the registry.
  void RegisterState(StateRegistry& registry);
  // Forgets the state if it is of another measure: a run that goes on with another
  // train.best_metric has loaded such a state. Returns whether it was.
  bool ForgetOtherMeasure();

  // Whether `value`, of the evaluation after `step` steps, is the best one yet.
  bool Observe(int64_t step, double value);
  bool OutOfPatience() const;
  // best_step, evaluated_step: -1 for none.
  const EarlyStoppingState& state() const { return state_; }

 private:
  const std::string measure_;
  const int64_t patience_;
  EarlyStoppingState state_;
};

}  // namespace torii::trainer
