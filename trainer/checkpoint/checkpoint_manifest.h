// The manifest of a checkpoint: manifest.json, written last, with the digests of everything else
// and of itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/partition.h"
#include "trainer/checkpoint/checkpoint.h"

namespace torii::trainer {

struct ManifestFile {
  std::string name;
  int64_t size = 0;
  std::string digest;
};

struct ManifestTensor {
  at::ScalarType dtype = at::ScalarType::Float;
  std::vector<int64_t> shape;  // of the whole tensor
  Partition::Kind partition = Partition::Kind::kReplicated;

  bool is_replicated() const { return partition == Partition::Kind::kReplicated; }
  // The rows in the files of a writer of `world_size` ranks. Not for a replicated tensor, which may
  // have no rows.
  Partition Rows(int world_size) const { return {partition, shape[0], world_size}; }
  // Its shape in the file of `rank`.
  std::vector<int64_t> ShapeIn(Rank rank, WorldSize world_size) const;
};

struct Manifest {
  CheckpointInfo info;
  std::map<std::string, ManifestTensor> tensors;
  std::vector<ManifestFile> files;  // the shards in rank order, then the replicated tensors
};

inline constexpr char kManifestName[] = "manifest.json";
inline constexpr char kReplicatedName[] = "replicated.safetensors";

// "shard-00001-of-00004.safetensors"
std::string ShardName(Rank rank, WorldSize world_size);

std::string FormatManifest(const Manifest& manifest);
// Reads and validates everything that later code leans on: the manifest's own digest, its version,
// 1 to 2^20 ranks with the files that they write, known dtypes, shapes that the files can hold.
absl::StatusOr<Manifest> ReadManifest(FileSystem& files, const std::string& checkpoint);
// Size, and digest if `content`, of one file of the checkpoint.
absl::Status VerifyFile(FileSystem& files, const std::string& checkpoint, const ManifestFile& file,
                        bool content);

}  // namespace torii::trainer
