// The items that some users have seen, as the kernels want them: slots of this rank, ascending.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/partition.h"
#include "base/split_evenly.h"
#include "kernels/ranking.h"

namespace torii::eval {

// User u has seen the item rows seen[begin[u]] .. seen[begin[u + 1] - 1], in any order.
struct SeenItems {
  std::span<const int64_t> begin, seen;
};

class SeenSlots {
 public:
  // Of the users [users.begin, users.end); row i here is user users.begin + i. On all threads.
  SeenSlots(const SeenItems& items, Range users, const Partition& corpus, int rank);
  kernels::HiddenLists hidden() const { return {begin_, slots_}; }

 private:
  std::vector<int64_t> begin_, slots_;
};

}  // namespace torii::eval
