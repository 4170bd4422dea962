#include "trainer/early_stopping.h"

#include <utility>

#include "trainer/checkpoint/message_state.h"

namespace torii::trainer {

EarlyStopping::EarlyStopping(std::string measure, int64_t patience)
    : measure_(std::move(measure)), patience_(patience) {
  state_.set_measure(measure_);
}

void EarlyStopping::RegisterState(StateRegistry& registry) {
  registry.Add(MessageState("early_stopping", &state_));
}

bool EarlyStopping::ForgetOtherMeasure() {
  if (state_.measure() == measure_) return false;
  const bool had_values = state_.best_step() >= 0;
  state_.Clear();
  state_.set_measure(measure_);
  return had_values;
}

bool EarlyStopping::Observe(int64_t step, double value) {
  state_.set_evaluated_step(step);
  const bool gain = state_.best_step() < 0 || value > state_.best_value();
  if (gain) {
    state_.set_best_value(value);
    state_.set_best_step(step);
    state_.set_evaluations_without_gain(0);
  } else {
    state_.set_evaluations_without_gain(state_.evaluations_without_gain() + 1);
  }
  return gain;
}

bool EarlyStopping::OutOfPatience() const {
  return patience_ > 0 && state_.evaluations_without_gain() >= patience_;
}

}  // namespace torii::trainer
