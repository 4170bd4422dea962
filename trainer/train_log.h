// What a run reports while it trains: metrics.jsonl, the progress line, the loss since the last
// line.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "base/named_state.h"
#include "base/stopwatch.h"
#include "trainer/metrics_log.h"
#include "trainer/run_state.pb.h"
#include "trainer/step/step_clock.h"
#include "trainer/step/train_step.h"

namespace torii::trainer {

// One for each rank; only rank 0 writes.
class TrainLog {
 public:
  // Registers the message "train_log". This object must outlive the registry.
  void RegisterState(StateRegistry& registry);
  // Rank 0, once the run stands at `position`: opens metrics.jsonl of the run folder, without the
  // lines of steps that will be done again.
  absl::Status Open(FileSystem& files, const std::string& run_dir, const RunPosition& position);
  // All ranks, when training begins.
  void Begin(const RunPosition& position);

  // Counts a step.
  void Add(const StepResult& result);
  struct Line {
    const StepResult* last_step = nullptr;
    double learning_rate_factor = 1;
    int world_size = 1;
    int64_t total_steps = 0, global_batch = 0;
  };
  // Writes a line about the steps since the last line.
  absl::Status WriteLine(const RunPosition& position, const Line& line);
  // Writes an evaluation. The speed in the next training line counts from this call on.
  absl::Status WriteEvaluation(const RunPosition& position, const std::string& part,
                               const std::map<std::string, double>& values);
  absl::Status Close();

  StepTime* time() { return &time_; }  // of the steps since the last line
  double last_loss() const { return last_loss_; }
  double seconds() const { return since_start_.seconds(); }  // since Begin

 private:
  void RestartClock(const RunPosition& position);

  std::unique_ptr<MetricsLog> metrics_;  // rank 0
  TrainLogState state_;
  StepTime time_;
  double last_loss_ = 0;
  Stopwatch since_line_, since_start_;
  int64_t rows_at_line_ = 0;
};

}  // namespace torii::trainer
