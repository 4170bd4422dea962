#include "data/prepare/core_filter.h"

#include "base/status_macros.h"

namespace torii::data {
namespace {

// Drops what has fewer than `minimum`; true if anything was.
bool DropRare(const std::vector<int64_t>& counts, int64_t minimum, std::vector<uint8_t>* kept) {
  bool dropped = false;
  for (size_t i = 0; i < counts.size(); ++i) {
    if ((*kept)[i] != 0 && counts[i] < minimum) {
      (*kept)[i] = 0;
      dropped = true;
    }
  }
  return dropped;
}

}  // namespace

absl::StatusOr<Kept> FilterByCounts(const InteractionSpill& spill, const Filters& filters,
                                    int64_t num_users, int64_t num_items) {
  Kept kept;
  kept.users.assign(static_cast<size_t>(num_users), 1);
  kept.items.assign(static_cast<size_t>(num_items), 1);
  const bool filter_users = filters.min_user_interactions() > 1;
  const bool filter_items = filters.min_item_interactions() > 1;
  bool changed = filter_users || filter_items;
  while (changed) {
    std::vector<int64_t> users(kept.users.size());
    std::vector<int64_t> items(kept.items.size());
    kept.dropped_rows = 0;
    TORII_RETURN_IF_ERROR(spill.ForEach([&](InteractionBlock block) {
      for (const Interaction& row : block) {
        if (!kept.Keeps(row)) {
          ++kept.dropped_rows;
        } else if (row.part == Part::kTrain) {
          ++users[static_cast<size_t>(row.user)];
          ++items[static_cast<size_t>(row.item)];
        }
      }
      return absl::OkStatus();
    }));
    changed = filter_users && DropRare(users, filters.min_user_interactions(), &kept.users);
    changed =
        (filter_items && DropRare(items, filters.min_item_interactions(), &kept.items)) || changed;
  }
  return kept;
}

}  // namespace torii::data
