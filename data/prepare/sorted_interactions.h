// The kept interactions, sorted by (user row, time, order of the files). Either all are sorted in
// memory, or sorted runs on disk are merged while they are read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/array_file.h"
#include "data/prepare/core_filter.h"
#include "data/prepare/interaction_spill.h"

namespace torii::data {

// One user's rows, all parts, sorted. They may be changed.
using VisitUser = std::function<absl::Status(std::span<Interaction>)>;

class SortedInteractions {
 public:
  struct Options {
    std::string runs_path;    // scratch file of all runs, one after the other
    int64_t buffer_rows = 1;  // sorted in memory at a time
  };
  // `user_row` [codes]: the row of each user code. Rows that `kept` drops are left out. Takes what
  // `spill` has in memory; a spill on disk is only read.
  static absl::StatusOr<SortedInteractions> Sort(FileSystem& files, InteractionSpill* spill,
                                                 const Kept& kept,
                                                 std::span<const int32_t> user_row,
                                                 const Options& options);
  // Visits the users that have rows, in order of their rows. Memory: the rows of one user and the
  // buffers of the runs.
  absl::Status ForEachUser(const VisitUser& visit);
  int64_t num_runs() const { return static_cast<int64_t>(run_rows_.size()); }

 private:
  SortedInteractions(FileSystem& files, const Options& options)
      : files_(&files), options_(options) {}
  absl::Status AddRun(std::vector<Interaction>* rows, std::optional<BufferedFile>* file);
  absl::Status ForEachUserInMemory(const VisitUser& visit);

  FileSystem* files_;
  Options options_;
  std::vector<Interaction> memory_;  // the only run, when there are none on disk
  std::vector<int64_t> run_rows_;
};

// Sorts by (user, time, order) with two threads.
void SortInteractions(std::span<Interaction> rows);

}  // namespace torii::data
