// A checkpoint is a folder with one safetensors file per rank, one file of the replicated tensors,
// and a manifest with hashes. It is written under another name and renamed when every rank has
// reported success (docs/checkpoint.md). It holds what the parts of a run registered as named
// state, and loads on any number of ranks and into any partition.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/named_state.h"
#include "comm/communicator.h"

namespace torii::trainer {

// What a checkpoint says of itself, besides its tensors.
struct CheckpointInfo {
  std::string path;  // not stored
  int64_t step = 0;  // steps done
  int world_size = 0;
  std::string config;                           // resolved configuration, protobuf text
  std::string data_digest;                      // of the prepared dataset
  std::map<std::string, std::string> messages;  // the small states by name
  std::string digest;                           // of the manifest; "" before it is written
};

// "DIRECTORY/step-00001200".
std::string CheckpointPath(const std::string& directory, int64_t step);

// Writes `directory`/step-00001200 with all of `state` and returns its path. Of `identity` only
// step, config and data_digest are read. Refuses a tensor that is not finite (kDiverged, with its
// name and row). may_write: asked on rank 0 before the first file and before the checkpoint gets its
// name; after its error nothing is touched any more; null: yes. Collective; if any rank fails,
// nothing is left and all ranks get the error. When it returns OK on this rank, the checkpoint is
// durable.
using MayWrite = std::function<absl::Status()>;
absl::StatusOr<std::string> SaveCheckpoint(FileSystem& files, comm::Communicator& comm,
                                           const std::string& directory, const StateRegistry& state,
                                           const CheckpointInfo& identity,
                                           const MayWrite& may_write = nullptr);
// Reads the manifest and checks sizes; verify_content also checks every hash. Local. kData:
// damaged; kConfig: of another format version, with what to do; kIo, kCannotCreate: cannot be read
// now.
absl::StatusOr<CheckpointInfo> ReadCheckpointInfo(FileSystem& files, const std::string& path,
                                                  bool verify_content);
// Fills the tensors of `state` in place, then its messages; each must be there, the tensors with
// the same shape and dtype (kConfig names the first that is not). Verifies hashes of what it reads,
// and that all ranks read the same checkpoint. Any world size and partition. Collective.
absl::StatusOr<CheckpointInfo> LoadCheckpoint(FileSystem& files, comm::Communicator& comm,
                                              const std::string& path, const StateRegistry& state);

// One digest of the content, independent of the number of ranks that wrote it and of their
// partition, and one per state: "total", messages by name, then tensors by name. Local.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CheckpointDigests(
    FileSystem& files, const std::string& path);

}  // namespace torii::trainer
