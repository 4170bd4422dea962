// Checkpoints: a folder with one safetensors file per rank, the dense weights, and a manifest with
// hashes, written beside its final name and renamed when every rank agreed (docs/checkpoint.md).
// Loads on any number of ranks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "comm/communicator.h"

namespace torii::trainer {

// A tensor of which each rank holds the rows rank, rank + W, ... (sharded), or all ranks hold the
// same copy.
struct CheckpointTensor {
  std::string name;
  at::Tensor tensor;  // live view, float32, each row contiguous: written from, loaded into
  bool sharded = false;
  int64_t rows = 0;  // of the whole, if sharded
};

// Where training stands. Everything that is not a tensor.
struct Progress {
  int64_t step = 0;   // steps done
  int64_t epoch = 0;  // position of the next batch
  int64_t step_in_epoch = 0;
  int64_t rows_seen = 0;
  double best_metric = 0;
  int64_t best_step = -1;  // -1: none yet
  int64_t evaluations_without_gain = 0;
  // The running loss since the last log line (metric state).
  double loss_sum = 0;
  double loss_weight = 0;
};

struct CheckpointInfo {
  std::string path;
  Progress progress;
  int world_size = 0;       // of the writer
  std::string config;       // resolved configuration, protobuf text
  std::string data_digest;  // of the prepared dataset
};

// Writes `directory`/step-00001200. Collective; on any rank's failure nothing is left and all ranks
// get the error. When it returns OK on this rank, the checkpoint is durable.
absl::StatusOr<std::string> SaveCheckpoint(FileSystem& files, comm::Communicator& comm,
                                           const std::string& directory,
                                           std::vector<CheckpointTensor> tensors,
                                           const CheckpointInfo& info);
// Reads manifest and checks sizes; verify_content also checks every hash. Local.
absl::StatusOr<CheckpointInfo> ReadCheckpointInfo(FileSystem& files, const std::string& path,
                                                  bool verify_content);
// Fills `tensors` in place; every one of them must be there with the same shape (kData names the
// first that is not). Verifies hashes. Any world size. Collective.
absl::StatusOr<CheckpointInfo> LoadCheckpoint(FileSystem& files, comm::Communicator& comm,
                                              const std::string& path,
                                              std::vector<CheckpointTensor> tensors);
// The newest complete checkpoint of `directory` (or the step given by "latest"/"best" text files is
// only a hint), or nullopt. Local.
absl::StatusOr<std::optional<std::string>> NewestCheckpoint(FileSystem& files,
                                                            const std::string& directory);
// Removes old checkpoints but the newest `keep` and `best_step`'s. Local; rank 0 calls it.
absl::Status PruneCheckpoints(FileSystem& files, const std::string& directory, int keep,
                              int64_t best_step);

// One digest of the content, independent of the number of ranks that wrote it, and one per tensor:
// "total", "progress", then tensors by name. Local.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CheckpointDigests(
    FileSystem& files, const std::string& path);

}  // namespace torii::trainer
