#include "eval/seen_slots.h"

#include <algorithm>

#include "base/parallel_for.h"

namespace torii::eval {
namespace {

// Users that a thread should have to look at at least.
constexpr int64_t kGrainUsers = 64;

}  // namespace

SeenSlots::SeenSlots(const SeenItems& items, Range users, const Partition& corpus, int rank)
    : begin_(static_cast<size_t>(users.size()) + 1, 0) {
  const auto seen_of = [&](int64_t i) {
    const auto user = static_cast<size_t>(users.begin + i);
    return items.seen.subspan(static_cast<size_t>(items.begin[user]),
                              static_cast<size_t>(items.begin[user + 1] - items.begin[user]));
  };
  const auto is_mine = [&](int64_t item) { return corpus.Holds(rank, item); };
  ParallelFor(0, users.size(), kGrainUsers, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      const std::span<const int64_t> seen = seen_of(i);
      begin_[static_cast<size_t>(i) + 1] = std::count_if(seen.begin(), seen.end(), is_mine);
    }
  });
  for (size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
  slots_.resize(static_cast<size_t>(begin_.back()));
  ParallelFor(0, users.size(), kGrainUsers, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      const auto begin = slots_.begin() + begin_[static_cast<size_t>(i)];
      auto next = begin;
      for (const int64_t item : seen_of(i)) {
        if (is_mine(item)) *next++ = corpus.Slot(item);
      }
      if (!std::is_sorted(begin, next)) std::sort(begin, next);
    }
  });
}

}  // namespace torii::eval
