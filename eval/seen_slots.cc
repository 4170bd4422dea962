#include "eval/seen_slots.h"

#include <algorithm>

namespace torii::eval {

SeenSlots::SeenSlots(const SeenItems& items, Range users, const Partition& corpus, int rank) {
  begin_.reserve(static_cast<size_t>(users.size()) + 1);
  begin_.push_back(0);
  for (int64_t u = users.begin; u < users.end; ++u) {
    const auto user = static_cast<size_t>(u);
    const auto first = std::ssize(slots_);
    for (int64_t i = items.begin[user]; i < items.begin[user + 1]; ++i) {
      const int64_t item = items.seen[static_cast<size_t>(i)];
      if (corpus.Holds(rank, item)) slots_.push_back(corpus.Slot(item));
    }
    if (!std::is_sorted(slots_.begin() + first, slots_.end())) {
      std::sort(slots_.begin() + first, slots_.end());
    }
    begin_.push_back(std::ssize(slots_));
  }
}

}  // namespace torii::eval
