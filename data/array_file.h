// One array of numbers in a file: a header of 64 bytes, then the values, little-endian, back to
// back. Mapped, the values are aligned to 64 bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "base/file_system.h"

namespace torii::data {

enum class ArrayType : uint32_t { kInt32 = 1, kInt64 = 2, kFloat32 = 3, kUint8 = 4 };

struct ArrayHeader {
  char magic[8] = {'T', 'O', 'R', 'I', 'I', 'A', 'R', 'R'};
  uint32_t version = 1;
  ArrayType type = ArrayType::kUint8;
  int64_t count = 0;
  char zero[40] = {};
};
static_assert(sizeof(ArrayHeader) == 64);

template <typename T>
struct ArrayTypeOf;
template <>
struct ArrayTypeOf<int32_t> {
  static constexpr ArrayType value = ArrayType::kInt32;
};
template <>
struct ArrayTypeOf<int64_t> {
  static constexpr ArrayType value = ArrayType::kInt64;
};
template <>
struct ArrayTypeOf<float> {
  static constexpr ArrayType value = ArrayType::kFloat32;
};
template <>
struct ArrayTypeOf<uint8_t> {
  static constexpr ArrayType value = ArrayType::kUint8;
};

// Checks magic, version, type and that the file has exactly header + count values; returns the
// count. `path` is for messages (kData).
absl::StatusOr<int64_t> CheckArray(const MappedFile& file, ArrayType type, const std::string& path);

// The values of a mapped array file; valid as long as `file` lives.
template <typename T>
absl::StatusOr<std::span<const T>> ArrayValues(const MappedFile& file, const std::string& path) {
  absl::StatusOr<int64_t> count = CheckArray(file, ArrayTypeOf<T>::value, path);
  if (!count.ok()) {
    return count.status();
  }
  return std::span<const T>(reinterpret_cast<const T*>(file.data() + sizeof(ArrayHeader)),
                            static_cast<size_t>(*count));
}

}  // namespace torii::data
