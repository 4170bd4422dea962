// The training run: epochs, schedule, evaluation, early stop, checkpoints, metrics.jsonl, progress
// line.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/config_rules.h"
#include "base/file_system.h"
#include "comm/communicator.h"
#include "data/dataset.h"
#include "trainer/train_run.h"
#include "trainer/trainer.pb.h"

namespace torii::trainer {

// Collects the rules that `config` breaks. `rules` are those of the message itself.
void Validate(const TrainConfig& config, const ConfigRules& rules);

// Trains to the end; a run that is complete already does nothing and says so. Collective; the same
// configuration on all ranks. Files are written by rank 0 except for the shards of checkpoints.
absl::StatusOr<TrainSummary> RunTraining(FileSystem& files, comm::Communicator& comm,
                                         const data::Dataset& dataset, const TrainRun& run);

}  // namespace torii::trainer
