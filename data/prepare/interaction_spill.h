// The coded interactions in the order of the files. They stay in memory while they fit into the
// sort buffer and go to a scratch file when they do not. They can be read any number of times.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "data/array_file.h"
#include "data/prepared_layout.h"

namespace torii::data {

struct Interaction {
  int32_t user = 0;   // code, later row
  int32_t item = 0;   // code
  int64_t time = 0;   // sortable key (TimeReader)
  int64_t order = 0;  // number of the row over all files
  float weight = 1;
  Part part = Part::kTrain;
};
static_assert(sizeof(Interaction) == 32);

using InteractionBlock = std::span<const Interaction>;
using VisitInteractions = std::function<absl::Status(InteractionBlock)>;

class InteractionSpill {
 public:
  // At most `capacity` >= 1 rows stay in memory. `files` is borrowed.
  InteractionSpill(FileSystem& files, std::string path, int64_t capacity);
  absl::Status Append(InteractionBlock block);
  // After the last Append.
  absl::Status Finish();
  absl::Status ForEach(const VisitInteractions& visit) const;
  int64_t rows() const { return rows_; }
  // Gives the rows away and leaves the spill empty. Only if in_memory().
  std::vector<Interaction> TakeMemory() { return std::move(memory_); }
  bool in_memory() const { return !file_.has_value(); }

 private:
  FileSystem& files_;
  std::string path_;
  int64_t capacity_;
  int64_t rows_ = 0;
  std::vector<Interaction> memory_;
  std::optional<BufferedFile> file_;
};

// Reads `rows` interactions of a scratch file from its beginning, `block_rows` at a time.
absl::Status ForEachInFile(FileSystem& files, const std::string& path, int64_t rows,
                           int64_t block_rows, const VisitInteractions& visit);

}  // namespace torii::data
