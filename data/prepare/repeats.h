// Several rows of one user and item: which of them stay.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"
#include "data/prepare/interaction_spill.h"

namespace torii::data {

struct RepeatsOptions {
  Filters::Repeats keep = Filters::FIRST;
  int64_t users = 0;  // codes
  int64_t items = 0;
  std::string runs_path;    // scratch file
  int64_t buffer_rows = 1;  // sorted in memory at a time
};

// Copies the rows that stay from `from` to `to`; parts are looked at one by one. Takes what `from`
// has in memory. Returns how many rows were dropped.
absl::StatusOr<int64_t> DropRepeats(FileSystem& files, const RepeatsOptions& options,
                                    InteractionSpill* from, InteractionSpill* to);

}  // namespace torii::data
