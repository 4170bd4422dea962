// The rows that the gradients of one step touch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace torii::sharding {

// Collects gradient rows, each for a slot, and groups them by slot. Keeps its memory between steps.
// Not thread-safe.
class TouchedRows {
 public:
  void Clear();
  // Gradient rows of `dim` floats, one behind the other, for `slots`. Borrowed until the next
  // Clear().
  void Add(std::span<const int64_t> slots, const float* gradients, int64_t dim);
  // Groups what was added. num_slots: bound of the slots, at most 2^32.
  void Group(int64_t num_slots);

  // After Group(): distinct slot i, in increasing order, has the gradient rows
  // gradients()[begin()[i]] .. gradients()[begin()[i + 1] - 1], in the order in which they were
  // added.
  int64_t distinct() const { return static_cast<int64_t>(slots_.size()); }
  std::span<const uint32_t> slots() const { return slots_; }
  std::span<const uint32_t> begin() const { return begin_; }
  std::span<const float* const> gradients() const { return gradients_; }

 private:
  void SortBySlot(int64_t num_slots);

  std::vector<uint64_t> entries_, sorted_;  // slot << 32 | position in added_
  std::vector<const float*> added_, gradients_;
  std::vector<uint32_t> slots_, begin_;
};

}  // namespace torii::sharding
