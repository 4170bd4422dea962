// What one training run is asked to do, and what it reports at its end.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/field_changes.h"
#include "eval/eval.pb.h"
#include "kernels/device.h"
#include "model/model.pb.h"
#include "sampler/sampler.pb.h"
#include "sharding/sharding.pb.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/profile.h"
#include "trainer/run_state.pb.h"
#include "trainer/trainer.pb.h"

namespace torii::trainer {

struct TrainRun {
  std::string run_dir;
  uint64_t seed = 1;
  model::ModelConfig model;
  sharding::TableConfig tables;
  std::vector<sharding::TableConfig> table;  // overrides of single tables
  sampler::SamplerConfig sampler;
  TrainConfig train;
  eval::EvalConfig eval;
  std::string resolved_config;  // protobuf text, kept in every checkpoint
  // Returns the fields in which a checkpoint's configuration `theirs` (protobuf text) differs from
  // this one. Null: the two are taken as equal.
  std::function<absl::StatusOr<std::vector<FieldChange>>(const std::string& theirs)> changes_since;
  Resume resume = Resume::kAuto;
  // Rank 0, before the first step. Not called if the run is refused, or complete already.
  std::function<absl::Status()> before_training;
  // Rank 0, before a checkpoint is written and before it gets its name: an error (the run folder was
  // taken over) ends the run without it. May be null.
  std::function<absl::Status()> before_commit;
  // Set by a signal: checkpoint and leave with kInterrupted.
  const std::atomic<bool>* stop = nullptr;
  ProfileOptions profile;
  kernels::Device device = kernels::Device::Cpu();
};

struct TrainSummary {
  RunPosition position;
  EarlyStoppingState evaluations;
  std::optional<double> last_loss;  // of the last log line; nullopt: the run was complete already
  std::string best_checkpoint;      // path; the newest one if there was no evaluation
  double train_seconds = 0;
};

}  // namespace torii::trainer
