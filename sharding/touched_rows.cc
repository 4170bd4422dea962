#include "sharding/touched_rows.h"

#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "base/check.h"

namespace torii::sharding {
namespace {

// Digits of a radix sort: 2^11 counters of 4 bytes stay in the first-level cache.
constexpr int kMaxDigitBits = 11;

}  // namespace

void TouchedRows::Clear() {
  entries_.clear();
  added_.clear();
}

void TouchedRows::Add(std::span<const int64_t> slots, const float* gradients, int64_t dim) {
  TORII_CHECK(added_.size() + slots.size() <= std::numeric_limits<uint32_t>::max(),
              "more than 2^32 gradient rows in a step");
  for (const int64_t slot : slots) {
    entries_.push_back(static_cast<uint64_t>(slot) << 32 | added_.size());
    added_.push_back(gradients);
    gradients += dim;
  }
}

void TouchedRows::Group(int64_t num_slots) {
  SortBySlot(num_slots);
  slots_.clear();
  begin_.clear();
  gradients_.resize(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto slot = static_cast<uint32_t>(entries_[i] >> 32);
    if (slots_.empty() || slots_.back() != slot) {
      slots_.push_back(slot);
      begin_.push_back(static_cast<uint32_t>(i));
    }
    gradients_[i] = added_[static_cast<uint32_t>(entries_[i])];
  }
  begin_.push_back(static_cast<uint32_t>(entries_.size()));
}

// Stable, from the lowest digit of the slot to the highest.
void TouchedRows::SortBySlot(int64_t num_slots) {
  const auto most = static_cast<uint64_t>(num_slots > 0 ? num_slots - 1 : 0);
  const int bits = static_cast<int>(std::bit_width(most));
  const int passes = (bits + kMaxDigitBits - 1) / kMaxDigitBits;
  if (passes == 0 || entries_.size() < 2) return;
  const int digit_bits = (bits + passes - 1) / passes;
  const uint64_t mask = (uint64_t{1} << digit_bits) - 1;
  sorted_.resize(entries_.size());
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = 32 + pass * digit_bits;
    std::array<uint32_t, 1 << kMaxDigitBits> next{};
    for (const uint64_t entry : entries_) ++next[(entry >> shift) & mask];
    uint32_t begin = 0;
    for (uint32_t& count : next) begin += std::exchange(count, begin);
    for (const uint64_t entry : entries_) sorted_[next[(entry >> shift) & mask]++] = entry;
    std::swap(entries_, sorted_);
  }
}

}  // namespace torii::sharding
