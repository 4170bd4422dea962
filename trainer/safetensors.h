// The safetensors file format (float32 tensors): an 8-byte header length, a JSON header, the data.
// Written through the file-system seam; read with every offset validated, so that a hostile file is
// an error, never a crash.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"

namespace torii::trainer {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // float32 CPU; written as if contiguous
};

struct SafetensorsEntry {
  std::vector<int64_t> shape;
  int64_t offset = 0;  // in the file
  int64_t bytes = 0;
};

// Writes and syncs `path` (not atomically); returns the digest of the whole file.
absl::StatusOr<std::string> WriteSafetensors(FileSystem& files, const std::string& path,
                                             const std::vector<NamedTensor>& tensors);
// The header: entries by name.
absl::StatusOr<std::map<std::string, SafetensorsEntry>> ReadSafetensorsHeader(
    FileSystem& files, const std::string& path);
// One tensor.
absl::StatusOr<at::Tensor> ReadSafetensor(FileSystem& files, const std::string& path,
                                          const SafetensorsEntry& entry);

}  // namespace torii::trainer
