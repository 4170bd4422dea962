// The array files of a prepared folder, mapped and checked.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "data/array_file.h"
#include "data/prepared.pb.h"

namespace torii::data {

// The values of one array file; the mapping lives as long as this.
template <typename T>
struct MappedArray {
  std::shared_ptr<MappedFile> file;
  std::string path;
  std::span<const T> values;

  int64_t size() const { return static_cast<int64_t>(values.size()); }
  const T& operator[](int64_t i) const { return values[static_cast<size_t>(i)]; }
};

// Says where a prepared file is damaged: "<path>: value <i> is <value>, <rule>; run ...".
template <typename T>
absl::Status BadValue(const MappedArray<T>& array, int64_t i, const std::string& rule) {
  return DataError(absl::StrCat(array.path, ": value ", i, " is ", array[i], ", ", rule,
                                ": damaged; run `torii prepare` again"));
}

// Opens array files by name. Borrows the file system and the metadata.
class MappedFolder {
 public:
  MappedFolder(FileSystem& files, std::string folder, const PreparedDataset& meta);

  static constexpr int64_t kAnyCount = -1;

  // kData if the metadata do not list the file, or it is not an array of T with `count` values.
  template <typename T>
  absl::StatusOr<MappedArray<T>> Open(const std::string& name, int64_t count) const {
    MappedArray<T> array;
    array.path = JoinPath(folder_, name);
    TORII_RETURN_IF_ERROR(CheckListed(name));
    TORII_ASSIGN_OR_RETURN(array.file, files_.Map(array.path));
    TORII_ASSIGN_OR_RETURN(array.values, ArrayValues<T>(*array.file, array.path));
    if (count != kAnyCount && array.size() != count) {
      return DataError(absl::StrCat(array.path, ": has ", array.size(), " values, expected ", count,
                                    "; run `torii prepare` again"));
    }
    return array;
  }

 private:
  absl::Status CheckListed(const std::string& name) const;

  FileSystem& files_;
  std::string folder_;
  std::set<std::string> listed_;
};

// kData with file and position unless every value is in [0, limit).
absl::Status CheckRows(const MappedArray<int32_t>& array, int64_t limit);
// kData unless the values start at 0, never fall and end at `end`.
absl::Status CheckOffsets(const MappedArray<int64_t>& offsets, int64_t end);
// kData unless every value is finite and, for kNotNegative, at least 0.
enum class Sign { kAny, kNotNegative };
absl::Status CheckNumbers(const MappedArray<float>& array, Sign sign);

}  // namespace torii::data
