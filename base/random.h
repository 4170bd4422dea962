// Counter-based random numbers: every number is a pure function of (seed, purpose, step, index), so
// it does not depend on ranks, threads, or what was drawn before. Philox4x32-10 (Salmon et al.,
// SC'11).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace torii {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;
PhiloxCounter Philox4x32(PhiloxCounter counter, PhiloxKey key);

// The finaliser of splitmix64: a bijection in which each bit of the result depends on all bits of
// x.
inline uint64_t MixBits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}
inline constexpr uint64_t kMixIncrement = 0x9E3779B97F4A7C15;  // of splitmix64

// A well-mixed 64-bit hash of two numbers, MixBits(MixBits(a + kMixIncrement) + b), for deriving
// seeds.
uint64_t MixSeed(uint64_t a, uint64_t b);
// The same for text (XXH3), e.g. a table's or a layer's name.
uint64_t MixSeed(uint64_t a, std::string_view text);

// The random numbers of one (seed, purpose, step). Copyable, stateless.
class RandomStream {
 public:
  // `purpose` names what the numbers are for ("init:item_id", "dropout:user.0",
  // "uniform_negatives").
  RandomStream(uint64_t seed, std::string_view purpose, uint64_t step = 0);

  // 128 random bits of block `index`.
  PhiloxCounter Block(uint64_t index) const;
  uint64_t Bits(uint64_t index) const;
  // In [0, 1), 53 bits.
  double Uniform(uint64_t index) const;
  // In [0, n), n >= 1, with a bias below n / 2^64 (128-bit multiply-shift).
  int64_t Below(uint64_t index, int64_t n) const;
  // Standard normal (Box-Muller) values of row `row`; a pure function of (stream, row, element).
  void NormalRow(uint64_t row, std::span<float> out) const;
  // Uniform [0, 1) floats of row `row`, 24 bits each.
  void UniformRow(uint64_t row, std::span<float> out) const;
  // The key of NormalRow and UniformRow: there the counter is (block in the row, row), so the step
  // is in the key.
  PhiloxKey RowKey() const;

 private:
  PhiloxKey key_;
  uint64_t step_;
};

// The same from the key of a stream's rows alone.
void NormalRow(PhiloxKey row_key, uint64_t row, std::span<float> out);
void UniformRow(PhiloxKey row_key, uint64_t row, std::span<float> out);

}  // namespace torii
