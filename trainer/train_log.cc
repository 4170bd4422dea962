#include "trainer/train_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/message_state.h"

namespace torii::trainer {

void TrainLog::RegisterState(StateRegistry& registry) {
  registry.Add(MessageState("train_log", &state_));
}

absl::Status TrainLog::Open(FileSystem& files, const std::string& run_dir,
                            const RunPosition& position) {
  TORII_ASSIGN_OR_RETURN(
      metrics_, MetricsLog::Open(files, JoinPath(run_dir, "metrics.jsonl"), position.step()));
  return absl::OkStatus();
}

void TrainLog::Begin(const RunPosition& position) {
  since_start_.Restart();
  RestartClock(position);
}

void TrainLog::RestartClock(const RunPosition& position) {
  since_line_.Restart();
  rows_at_line_ = position.rows_seen();
}

void TrainLog::Add(const StepResult& result) {
  state_.set_loss_sum(state_.loss_sum() + result.loss * result.weight_sum);
  state_.set_loss_weight(state_.loss_weight() + result.weight_sum);
}

absl::Status TrainLog::WriteLine(const RunPosition& position, const Line& line) {
  last_loss_ = state_.loss_weight() > 0 ? state_.loss_sum() / state_.loss_weight() : 0;
  state_.Clear();
  const double rate =
      static_cast<double>(position.rows_seen() - rows_at_line_) / since_line_.seconds();
  RestartClock(position);
  const StepTime time = std::exchange(time_, {});
  if (metrics_ == nullptr) return absl::OkStatus();
  const double total = std::max(time.total(), 1e-12);
  TORII_RETURN_IF_ERROR(metrics_->Write(position.step(), position.epoch(), "train",
                                        {{"loss", last_loss_},
                                         {"examples_per_s", rate},
                                         {"learning_rate_factor", line.learning_rate_factor},
                                         {"gradient_norm", line.last_step->gradient_norm},
                                         {"columns", static_cast<double>(line.last_step->columns)},
                                         {"time_data", time.data / total},
                                         {"time_plan", time.plan / total},
                                         {"time_exchange", time.exchange / total},
                                         {"time_towers", time.towers / total},
                                         {"time_loss", time.loss / total},
                                         {"time_update", time.update / total},
                                         {"world", static_cast<double>(line.world_size)}}));
  const auto left = static_cast<double>(line.total_steps - position.step()) *
                    static_cast<double>(line.global_batch);
  LogProgress(absl::StrFormat("epoch %d  step %d/%d  loss %.4f  %.0f examples/s  data %.0f%%  "
                              "plan %.0f%%  exchange %.0f%%  ETA %.0fs",
                              position.epoch(), position.step(), line.total_steps, last_loss_, rate,
                              100 * time.data / total, 100 * time.plan / total,
                              100 * time.exchange / total, left / rate),
              /*done=*/position.step() == line.total_steps);
  return absl::OkStatus();
}

absl::Status TrainLog::WriteEvaluation(const RunPosition& position, const std::string& part,
                                       const std::map<std::string, double>& values) {
  RestartClock(position);
  if (metrics_ == nullptr) return absl::OkStatus();
  return metrics_->Write(position.step(), position.epoch(), absl::StrCat("eval_", part), values);
}

absl::Status TrainLog::Close() {
  return metrics_ == nullptr ? absl::OkStatus() : metrics_->Close();
}

}  // namespace torii::trainer
