// The rows that the gradients of one step touch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/rows_variant.h"

namespace torii::sharding {

// Orders the gradient rows of a step by the slots that they belong to: a radix sort on all threads,
// whose result does not depend on their number. The order follows from the slots alone; the
// gradients may come later. Keeps its memory between steps. Not thread-safe.
class TouchedRows {
 public:
  void Clear();
  // One more piece of gradient rows, for `slots`, which are borrowed until Group().
  void Add(std::span<const int64_t> slots);
  // Groups what was added. num_slots: bound of the slots, at most 2^32.
  void Group(int64_t num_slots);

  // After Group(). pieces[p]: the gradient rows of piece p (of those that had slots) as they were
  // added, `dim` floats each, one behind the other. The list holds the distinct slots in increasing
  // order, each with its gradient rows in the order in which they were added; it is valid until the
  // next call.
  kernels::TouchedRowList List(std::span<const float* const> pieces, int64_t dim);

 private:
  struct Piece {
    int64_t begin;  // position of its first row
    std::span<const int64_t> slots;
  };
  size_t PieceOf(int64_t position) const;
  template <class Visit>
  void VisitShare(bool sorted, int64_t share, const Visit& visit) const;
  void SortPass(bool first, int shift, int bits);
  void SortBySlot(int64_t num_slots);
  void Split();

  std::vector<Piece> pieces_;
  int64_t size_ = 0;
  int64_t shares_ = 1;                      // of the rows, worked on side by side
  std::vector<uint64_t> entries_, sorted_;  // slot << 32 | position
  std::vector<uint32_t> next_;              // [share][digit]
  std::vector<int64_t> first_;              // [share] its first distinct slot
  std::vector<uint32_t> slots_, begin_;
  std::vector<const float*> gradients_;
};

}  // namespace torii::sharding
