// A keyed bijection on [0, n): a Feistel network over the next even power of two, with cycle
// walking. It shuffles an epoch exactly in O(1) memory: row = permutation(position).
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace torii {

class KeyedPermutation {
 public:
  // n >= 0. The same (n, seed, epoch) gives the same bijection everywhere and for ever.
  KeyedPermutation(int64_t n, uint64_t seed, uint64_t epoch);
  // position in [0, n) -> [0, n).
  int64_t operator()(int64_t position) const;
  // images[i] = (*this)(first + i), several at a time.
  void Fill(int64_t first, std::span<int64_t> images) const;

 private:
  // Passes kLanes values through the network, which permutes [0, 2^(2 * half_bits_)).
  template <size_t kLanes>
  void Permute(std::array<uint64_t, kLanes>& values) const;
  void FillBlock(int64_t first, std::span<int64_t> images) const;

  int64_t n_;
  int half_bits_;
  std::array<uint64_t, 8> round_keys_;  // mixed once already
};

}  // namespace torii
