// The rows that the gradients of one step touch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/rows_variant.h"

namespace torii::sharding {

// Collects gradient rows, each for a slot, and groups them by slot: a radix sort on all threads,
// whose result does not depend on their number. Keeps its memory between steps. Not thread-safe.
class TouchedRows {
 public:
  void Clear();
  // Gradient rows of `dim` floats, one behind the other, for `slots`. Both are borrowed until the
  // next Clear().
  void Add(std::span<const int64_t> slots, const float* gradients, int64_t dim);
  // Groups what was added. num_slots: bound of the slots, at most 2^32.
  void Group(int64_t num_slots);

  // After Group(): the distinct slots, in increasing order, each with its gradient rows in the
  // order in which they were added.
  kernels::TouchedRowList list() const {
    return {static_cast<int64_t>(slots_.size()), slots_.data(), begin_.data(), gradients_.data()};
  }

 private:
  struct Part {
    int64_t begin;  // position of its first row
    std::span<const int64_t> slots;
    const float* gradients;
    int64_t dim;
  };
  const Part& PartOf(int64_t position) const;
  const float* Gradient(int64_t position) const;
  template <class Visit>
  void VisitPiece(bool sorted, int64_t piece, const Visit& visit) const;
  void SortPass(bool first, int shift, int bits);
  void SortBySlot(int64_t num_slots);
  void Split();

  std::vector<Part> parts_;
  int64_t size_ = 0;
  int64_t pieces_ = 1;                      // worked on side by side
  std::vector<uint64_t> entries_, sorted_;  // slot << 32 | position
  std::vector<uint32_t> next_;              // [piece][digit]
  std::vector<int64_t> first_;              // [piece] its first distinct slot
  std::vector<uint32_t> slots_, begin_;
  std::vector<const float*> gradients_;
};

}  // namespace torii::sharding
