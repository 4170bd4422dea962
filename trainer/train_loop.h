// The training run: epochs, schedule, evaluation, early stop, checkpoints, metrics.jsonl, progress
// line.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "comm/communicator.h"
#include "data/dataset.h"
#include "trainer/train_run.h"
#include "trainer/trainer.pb.h"

namespace torii::trainer {

std::vector<std::string> Validate(const TrainConfig& config);

// Trains to the end; a run that is complete already does nothing and says so. Collective; the same
// configuration on all ranks. Files are written by rank 0 except for the shards of checkpoints.
absl::StatusOr<TrainSummary> RunTraining(FileSystem& files, comm::Communicator& comm,
                                         const data::Dataset& dataset, const TrainRun& run);

}  // namespace torii::trainer
