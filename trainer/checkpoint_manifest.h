// The manifest of a checkpoint: manifest.json, written last, with the digests of everything else
// and of itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "trainer/checkpoint.h"

namespace torii::trainer {

struct ManifestFile {
  std::string name;
  int64_t size = 0;
  std::string digest;
};

struct ManifestTensor {
  bool sharded = false;
  std::vector<int64_t> shape;  // of the whole tensor
};

struct Manifest {
  CheckpointInfo info;
  std::map<std::string, ManifestTensor> tensors;
  std::vector<ManifestFile> files;  // the shards in rank order, then the replicated tensors
};

inline constexpr char kManifestName[] = "manifest.json";
inline constexpr char kReplicatedName[] = "replicated.safetensors";

// "shard-00001-of-00004.safetensors"
std::string ShardName(int rank, int world_size);

std::string FormatProgress(const Progress& progress);
std::string FormatManifest(const Manifest& manifest);
// Reads and validates: digest of the manifest itself, version, file names without directories.
absl::StatusOr<Manifest> ReadManifest(FileSystem& files, const std::string& checkpoint);
// Size, and digest if `content`, of one file of the checkpoint.
absl::Status VerifyFile(FileSystem& files, const std::string& checkpoint, const ManifestFile& file,
                        bool content);

}  // namespace torii::trainer
