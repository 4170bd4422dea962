// The safetensors file format: an 8-byte header length, a JSON header, the data. Written through
// the file-system seam; read with every offset validated, so that a hostile file is an error, never
// a crash.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"

namespace torii::trainer {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // any dtype of DtypeName; written as if contiguous and on the CPU
};

struct SafetensorsEntry {
  at::ScalarType dtype = at::ScalarType::Float;
  std::vector<int64_t> shape;
  int64_t offset = 0;  // in the file
  int64_t bytes = 0;
};

// "F32", "BF16", "I64", ...; an internal error for a dtype that the format does not have.
std::string_view DtypeName(at::ScalarType dtype);
// nullopt: no dtype is called so.
std::optional<at::ScalarType> DtypeOf(std::string_view name);
int64_t DtypeBytes(at::ScalarType dtype);
// Bytes of a tensor; nullopt if a size is negative or the product is beyond 2^60.
std::optional<int64_t> TensorBytes(at::ScalarType dtype, const std::vector<int64_t>& shape);

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
