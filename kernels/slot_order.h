// The order in which rows that belong to slots are added up: by slot, then as they were added.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/split_evenly.h"

namespace torii::kernels {

// A radix sort on all threads, whose result does not depend on their number. Keeps its memory from
// one order to the next. Not thread-safe.
class SlotOrder {
 public:
  void Clear();
  // One more piece of rows, for `slots`, which are borrowed until Sort() or, where places are asked
  // for, until the next Clear().
  void Add(std::span<const int64_t> slots);
  // Orders what was added. num_slots: bound of the slots, at most 2^32.
  void Sort(int64_t num_slots);

  // The number of rows, and of pieces that had some.
  int64_t size() const { return size_; }
  size_t pieces() const { return pieces_.size(); }
  int64_t RowsOf(size_t piece) const { return std::ssize(pieces_[piece].slots); }

  // After Sort(): the distinct slots in increasing order; the rows of slots()[k] are those from
  // begin()[k] to begin()[k + 1].
  const std::vector<uint32_t>& slots() const { return slots_; }
  const std::vector<uint32_t>& begin() const { return begin_; }
  // Row i of the order, counted as they were added.
  uint32_t PositionOf(int64_t i) const {
    return static_cast<uint32_t>(entries_[static_cast<size_t>(i)]);
  }
  // The same, as a piece and a row of it.
  struct Place {
    size_t piece;
    int64_t row;
  };
  Place PlaceOf(int64_t i) const {
    const uint32_t position = PositionOf(i);
    const size_t piece = pieces_.size() == 1 ? 0 : PieceOf(position);
    return {piece, static_cast<int64_t>(position) - pieces_[piece].begin};
  }
  // Calls visit for parts that cover the order, side by side where it is long.
  void ForEachShare(absl::FunctionRef<void(const Range& part)> visit) const;

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
};

}  // namespace torii::kernels
