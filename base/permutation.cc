#include "base/permutation.h"

#include "base/check.h"
#include "base/random.h"

namespace torii {
namespace {

// Halves of fewer bits have so few round functions that some orders of up to 16 elements come more
// often than others, however many rounds there are.
constexpr int kFewestHalfBits = 3;

}  // namespace

KeyedPermutation::KeyedPermutation(int64_t n, uint64_t seed, uint64_t epoch)
    : n_(n), half_bits_(kFewestHalfBits) {
  TORII_CHECK(n >= 0, "permutation of ", n, " elements");
  while (half_bits_ < 32 && (uint64_t{1} << (2 * half_bits_)) < static_cast<uint64_t>(n)) {
    ++half_bits_;
  }
  const uint64_t key = MixSeed(MixSeed(seed, "permutation"), epoch);
  for (uint64_t round = 0; round < round_keys_.size(); ++round) {
    round_keys_[round] = MixSeed(key, round);
  }
}

int64_t KeyedPermutation::operator()(int64_t position) const {
  TORII_CHECK(position >= 0 && position < n_, "position ", position, " of a permutation of ", n_,
              " elements");
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t x = static_cast<uint64_t>(position);
  // The network permutes up to 4 n values. Following its cycle until it is back below n permutes
  // [0, n).
  do {
    uint64_t left = x >> half_bits_;
    uint64_t right = x & mask;
    for (const uint64_t round_key : round_keys_) {
      const uint64_t mixed = left ^ (MixSeed(round_key, right) & mask);
      left = right;
      right = mixed;
    }
    x = left << half_bits_ | right;
  } while (x >= static_cast<uint64_t>(n_));
  return static_cast<int64_t>(x);
}

}  // namespace torii
