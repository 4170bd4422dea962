// The training run: epochs, schedule, evaluation, early stop, checkpoints, metrics.jsonl, progress
// line.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "comm/communicator.h"
#include "data/dataset.h"
#include "eval/eval.pb.h"
#include "eval/metrics.h"
#include "model/model.pb.h"
#include "sampler/sampler.pb.h"
#include "sharding/sharding.pb.h"
#include "trainer/checkpoint.h"
#include "trainer/profile.h"
#include "trainer/trainer.pb.h"
#include "trainer/two_tower.h"

namespace torii::trainer {

std::vector<std::string> Validate(const TrainConfig& config);

// What to do with checkpoints that the run folder already has.
enum class Resume { kAuto, kNever };

struct TrainRun {
  std::string run_dir;
  uint64_t seed = 1;
  model::ModelConfig model;
  sharding::TableConfig tables;
  sampler::SamplerConfig sampler;
  TrainConfig train;
  eval::EvalConfig eval;
  std::string resolved_config;  // protobuf text, kept in every checkpoint
  Resume resume = Resume::kAuto;
  const std::atomic<bool>* stop =
      nullptr;  // set by a signal: checkpoint and leave with kInterrupted
  ProfileOptions profile;
};

struct TrainSummary {
  Progress progress;
  double last_loss = 0;
  std::optional<eval::Metrics> best;  // of the best evaluation
  std::string best_checkpoint;        // path, or the last one if there was no evaluation
  double train_seconds = 0;
};

// Trains to the end. Collective; the same configuration on all ranks. Files are written by rank 0
// except for the shards of checkpoints.
absl::StatusOr<TrainSummary> RunTraining(FileSystem& files, comm::Communicator& comm,
                                         const data::Dataset& dataset, const TrainRun& run);

}  // namespace torii::trainer
