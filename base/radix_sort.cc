#include "base/radix_sort.h"

#include <array>
#include <bit>
#include <utility>

namespace torii {
namespace {

// 2^11 counters of 4 bytes stay in the first-level cache.
constexpr int kMaxDigitBits = 11;

}  // namespace

// Digit by digit, from the lowest to the highest; each pass is stable.
void SortByUpperHalf(std::vector<uint64_t>& entries, uint64_t max_key,
                     std::vector<uint64_t>& scratch) {
  const int bits = static_cast<int>(std::bit_width(max_key));
  const int passes = (bits + kMaxDigitBits - 1) / kMaxDigitBits;
  if (passes == 0 || entries.size() < 2) return;
  const int digit_bits = (bits + passes - 1) / passes;
  const uint64_t mask = (uint64_t{1} << digit_bits) - 1;
  scratch.resize(entries.size());
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = 32 + pass * digit_bits;
    std::array<uint32_t, 1 << kMaxDigitBits> next{};
    for (const uint64_t entry : entries) ++next[(entry >> shift) & mask];
    uint32_t begin = 0;
    for (uint32_t& count : next) begin += std::exchange(count, begin);
    for (const uint64_t entry : entries) scratch[next[(entry >> shift) & mask]++] = entry;
    std::swap(entries, scratch);
  }
}

}  // namespace torii
