// Drops users and items with too few interactions, repeatedly, until all that remain have enough.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/prepare/interaction_spill.h"

namespace torii::data {

struct Kept {
  std::vector<uint8_t> users;  // [codes] 1: kept
  std::vector<uint8_t> items;
  int64_t dropped_rows = 0;  // of all parts
  bool Keeps(const Interaction& row) const {
    return users[static_cast<size_t>(row.user)] != 0 && items[static_cast<size_t>(row.item)] != 0;
  }
};

// Counts the rows of Part::kTrain before any split. A minimum of 1 drops nothing, not even users
// and items without interactions; a higher minimum drops these too.
absl::StatusOr<Kept> FilterByCounts(const InteractionSpill& spill, const Filters& filters,
                                    int64_t num_users, int64_t num_items);

}  // namespace torii::data
