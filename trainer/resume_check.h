// Whether a run may go on from a checkpoint: nothing is resumed that is not the same model.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/train_run.h"

namespace torii::trainer {

// Compares the configuration and the data that made the checkpoint with `run` and `data_digest`.
// Fields whose change would train another model are kConfig, each with its old and its new value;
// with Resume::kAcceptConfig they are a warning. Other changes are written to the log. Local: rank
// 0 calls it.
absl::Status CheckSameRun(const CheckpointInfo& checkpoint, const TrainRun& run,
                          const std::string& data_digest);

}  // namespace torii::trainer
