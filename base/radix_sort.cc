#include "base/radix_sort.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace torii {
namespace {

// 2^11 counters of 4 bytes stay in the first-level cache. Few entries are not worth many counters.
constexpr int kMaxDigitBits = 11;
constexpr int kMinDigitBits = 8;

}  // namespace

// Digit by digit, from the lowest to the highest; each pass is stable.
void SortByUpperHalf(std::vector<uint64_t>& entries, uint64_t max_key,
                     std::vector<uint64_t>& scratch) {
  const int bits = static_cast<int>(std::bit_width(max_key));
  if (bits == 0 || entries.size() < 2) return;
  const int most_digit_bits =
      std::clamp(static_cast<int>(std::bit_width(entries.size())), kMinDigitBits, kMaxDigitBits);
  const int passes = (bits + most_digit_bits - 1) / most_digit_bits;
  const int digit_bits = (bits + passes - 1) / passes;
  const uint64_t mask = (uint64_t{1} << digit_bits) - 1;
  scratch.resize(entries.size());
  std::array<uint32_t, 1 << kMaxDigitBits> next;
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = 32 + pass * digit_bits;
    std::fill_n(next.begin(), mask + 1, 0);
    for (const uint64_t entry : entries) ++next[(entry >> shift) & mask];
    uint32_t begin = 0;
    for (size_t digit = 0; digit <= mask; ++digit) begin += std::exchange(next[digit], begin);
    for (const uint64_t entry : entries) scratch[next[(entry >> shift) & mask]++] = entry;
    std::swap(entries, scratch);
  }
}

}  // namespace torii
