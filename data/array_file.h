// One array of numbers in a file: a header of 64 bytes, then the values, little-endian, without
// gaps. In a mapped file the values are aligned to 64 bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "base/file_system.h"
#include "data/prepared.pb.h"

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

int64_t BytesOf(ArrayType type);

// A file that is written through a buffer of 1 MB and digested while it is written.
// Single-threaded.
class BufferedFile {
 public:
  enum class Durability { kScratch, kDurable };

  static absl::StatusOr<BufferedFile> Create(FileSystem& files, const std::string& path);
  // An array file of exactly `count` values.
  static absl::StatusOr<BufferedFile> CreateArray(FileSystem& files, const std::string& path,
                                                  ArrayType type, int64_t count);

  absl::Status Append(const void* data, size_t size);
  template <typename T>
  absl::Status AppendValues(std::span<const T> values) {
    return Append(values.data(), values.size_bytes());
  }
  template <typename T>
  absl::Status AppendValue(T value) {
    return Append(&value, sizeof(value));
  }
  // Bytes appended so far.
  int64_t size() const { return size_; }
  absl::Status Close(Durability durability);
  // Closes an array file and describes it. As many values as CreateArray announced must have been
  // appended.
  absl::StatusOr<PreparedFile> Finish();

 private:
  BufferedFile(std::unique_ptr<WritableFile> file, std::string path);
  absl::Status Flush();

  std::unique_ptr<WritableFile> file_;
  std::string path_;
  std::vector<char> buffer_;
  Digest digest_;
  int64_t size_ = 0;
  int64_t expected_size_ = 0;
};

}  // namespace torii::data
