// Whether a run may go on from a checkpoint: nothing is resumed that is not the same model.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/train_run.h"

namespace torii::trainer {

// Compares what made the checkpoint with `run` on data of `data_digest`. A change of meaning is
// kConfig with every such field, its old and its new value; with Resume::kAcceptConfig it is a
// warning. Changes that mean nothing for the weights are said in the log. Local: rank 0 calls it.
absl::Status CheckSameRun(const CheckpointInfo& checkpoint, const TrainRun& run,
                          const std::string& data_digest);

}  // namespace torii::trainer
