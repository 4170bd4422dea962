#include "base/permutation.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"

namespace torii {
namespace {

// Halves of fewer bits have so few round functions that some orders of up to 16 elements come more
// often than others, however many rounds there are.
constexpr int kFewestHalfBits = 3;

// Values that go through the network side by side, so that their multiplications overlap.
constexpr size_t kSideBySide = 4;
// Positions whose images are found together.
constexpr size_t kBlock = 256;

}  // namespace

KeyedPermutation::KeyedPermutation(int64_t n, uint64_t seed, uint64_t epoch)
    : n_(n), half_bits_(kFewestHalfBits) {
  TORII_CHECK(n >= 0, "permutation of ", n, " elements");
  while (half_bits_ < 32 && (uint64_t{1} << (2 * half_bits_)) < static_cast<uint64_t>(n)) {
    ++half_bits_;
  }
  const uint64_t key = MixSeed(MixSeed(seed, "permutation"), epoch);
  for (uint64_t round = 0; round < round_keys_.size(); ++round) {
    round_keys_[round] = MixBits(MixSeed(key, round) + kMixIncrement);
  }
}

template <size_t kLanes>
void KeyedPermutation::Permute(std::array<uint64_t, kLanes>& values) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  std::array<uint64_t, kLanes> left, right;
  for (size_t l = 0; l < kLanes; ++l) {
    left[l] = values[l] >> half_bits_;
    right[l] = values[l] & mask;
  }
  for (const uint64_t round_key : round_keys_) {
#pragma GCC unroll 8
    for (size_t l = 0; l < kLanes; ++l) {
      const uint64_t mixed = left[l] ^ (MixBits(round_key + right[l]) & mask);
      left[l] = right[l];
      right[l] = mixed;
    }
  }
  for (size_t l = 0; l < kLanes; ++l) values[l] = left[l] << half_bits_ | right[l];
}

int64_t KeyedPermutation::operator()(int64_t position) const {
  TORII_CHECK(position >= 0 && position < n_, "position ", position, " of a permutation of ", n_,
              " elements");
  std::array<uint64_t, 1> x = {static_cast<uint64_t>(position)};
  // The network permutes up to 4 n values. Following its cycle until it is back below n permutes
  // [0, n).
  do {
    Permute(x);
  } while (x[0] >= static_cast<uint64_t>(n_));
  return static_cast<int64_t>(x[0]);
}

void KeyedPermutation::Fill(int64_t first, std::span<int64_t> images) const {
  TORII_CHECK(first >= 0 && first + std::ssize(images) <= n_, "positions from ", first, " to ",
              first + std::ssize(images), " of a permutation of ", n_, " elements");
  for (size_t begin = 0; begin < images.size(); begin += kBlock) {
    FillBlock(first + static_cast<int64_t>(begin),
              images.subspan(begin, std::min(kBlock, images.size() - begin)));
  }
}

// Passes all values through the network until none is left at or above n.
void KeyedPermutation::FillBlock(int64_t first, std::span<int64_t> images) const {
  std::array<uint32_t, kBlock + kSideBySide> pending = {};  // indices; those behind are harmless
  size_t count = images.size();
  for (size_t i = 0; i < count; ++i) {
    images[i] = first + static_cast<int64_t>(i);
    pending[i] = static_cast<uint32_t>(i);
  }
  while (count > 0) {
    size_t still = 0;
    for (size_t k = 0; k < count; k += kSideBySide) {
      std::array<uint64_t, kSideBySide> values;
      for (size_t l = 0; l < kSideBySide; ++l) {
        values[l] = static_cast<uint64_t>(images[pending[k + l]]);
      }
      Permute(values);
      for (size_t l = 0; l < std::min(kSideBySide, count - k); ++l) {
        const uint32_t i = pending[k + l];
        images[i] = static_cast<int64_t>(values[l]);
        pending[still] = i;
        still += values[l] >= static_cast<uint64_t>(n_);
      }
    }
    count = still;
  }
}

}  // namespace torii
