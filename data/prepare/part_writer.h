// Passes 2 and 3 of the preparation: sorted interactions -> the arrays of train, valid and test,
// and the item counts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/prepare/sorted_interactions.h"
#include "data/prepare/split_rule.h"
#include "data/prepared.pb.h"

namespace torii::data {

struct PartOptions {
  std::string folder;   // of the arrays
  std::string scratch;  // folder of the item codes until WriteItemRows
  bool has_time = false;
  bool has_weight = false;
  TimeReader times;
  int64_t users = 0;
  int64_t item_codes = 0;
  PartSizes sizes;  // rows of each part
};

struct WrittenParts {
  std::vector<int64_t> train_counts;  // [item codes]
  // Held-out (user, item) pairs that are in the user's training part as well.
  int64_t pairs_in_train_too = 0;
  std::vector<PreparedFile> files;
};

// Splits each user's rows and writes all arrays of the parts but `item.i32`; items go into scratch
// files as codes.
absl::StatusOr<WrittenParts> WriteParts(FileSystem& files, const PartOptions& options,
                                        const SplitRule& rule, SortedInteractions* sorted);

// Writes `item.i32` of each part from the scratch files. `item_row` [codes]: the row of each item
// code.
absl::StatusOr<std::vector<PreparedFile>> WriteItemRows(FileSystem& files,
                                                        const PartOptions& options,
                                                        std::span<const int32_t> item_row);

}  // namespace torii::data
