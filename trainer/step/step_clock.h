// Where the time of a step goes: seconds of each part for the metrics, and spans for a profile.
#pragma once

#include <optional>

#include "base/stopwatch.h"
#include "base/trace.h"

namespace torii::trainer {

// In seconds on this rank.
struct StepTime {
  double data = 0;      // waiting for the batch
  double plan = 0;      // candidates, distinct rows, routes, order of the updates
  double exchange = 0;  // vectors of columns and their gradients, all-reduce (waiting for slower
                        // ranks included)
  double towers = 0;    // rows fetched and towers, forward and backward
  double loss = 0;
  double update = 0;  // row gradients home, row and dense optimizers
  double total() const { return data + plan + exchange + towers + loss + update; }
};

// Times one phase after the other: the beginning of a phase ends the one before.
class StepClock {
 public:
  explicit StepClock(StepTime* time) : time_(time) {}
  ~StepClock() { End(); }
  StepClock(const StepClock&) = delete;
  StepClock& operator=(const StepClock&) = delete;

  // part: where the seconds of the phase are added. name: of its span.
  void Begin(double StepTime::* part, const char* name) {
    End();
    watch_.Restart();
    part_ = part;
    span_.emplace(name);
  }

 private:
  void End() {
    if (part_ != nullptr) time_->*part_ += watch_.seconds();
    span_.reset();
  }

  StepTime* const time_;
  double StepTime::* part_ = nullptr;
  Stopwatch watch_;
  std::optional<TraceSpan> span_;
};

}  // namespace torii::trainer
