#include "base/random.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"
#include "base/digest.h"

namespace torii {
namespace {

// Multipliers and key increments of Philox4x32 (Salmon et al., SC'11, table 2).
constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kKeyIncrement0 = 0x9E3779B9;
constexpr uint32_t kKeyIncrement1 = 0xBB67AE85;
constexpr int kRounds = 10;
constexpr double kTwoPi = 6.283185307179586476925;
// Separates the numbers of rows from those of blocks.
constexpr uint64_t kRowDomain = 0x726F777320756E69;

uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

PhiloxKey KeyFrom(uint64_t bits) { return {Low(bits), High(bits)}; }
uint64_t BitsOf(const PhiloxKey& key) { return uint64_t{key[1]} << 32 | key[0]; }

// Calls take(words, k) for k = 0, 4, 8, ... < size with the words of elements k to k + 3 of a row.
template <typename Take>
void ForEachBlockOfRow(const PhiloxKey& key, uint64_t row, size_t size, const Take& take) {
  for (size_t k = 0; k < size; k += 4) {
    const uint64_t block = k / 4;
    take(Philox4x32({Low(block), High(block), Low(row), High(row)}, key), k);
  }
}

// Two standard normal values from two words. The logarithm's argument is never 0.
std::array<float, 2> BoxMuller(uint32_t a, uint32_t b) {
  const double radius = std::sqrt(-2.0 * std::log((a + 0.5) * 0x1p-32));
  const double angle = kTwoPi * ((b + 0.5) * 0x1p-32);
  return {static_cast<float>(radius * std::cos(angle)),
          static_cast<float>(radius * std::sin(angle))};
}

}  // namespace

PhiloxCounter Philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * counter[2];
    counter = {High(product1) ^ counter[1] ^ key[0], Low(product1),
               High(product0) ^ counter[3] ^ key[1], Low(product0)};
    key = {key[0] + kKeyIncrement0, key[1] + kKeyIncrement1};
  }
  return counter;
}

uint64_t MixSeed(uint64_t a, uint64_t b) { return MixBits(MixBits(a + kMixIncrement) + b); }

uint64_t MixSeed(uint64_t a, std::string_view text) { return StableHash(text, a); }

RandomStream::RandomStream(uint64_t seed, std::string_view purpose, uint64_t step)
    : key_(KeyFrom(MixSeed(seed, purpose))), step_(step) {}

PhiloxCounter RandomStream::Block(uint64_t index) const {
  return Philox4x32({Low(index), High(index), Low(step_), High(step_)}, key_);
}

uint64_t RandomStream::Bits(uint64_t index) const {
  const PhiloxCounter block = Block(index);
  return uint64_t{block[1]} << 32 | block[0];
}

double RandomStream::Uniform(uint64_t index) const {
  return static_cast<double>(Bits(index) >> 11) * 0x1p-53;
}

int64_t RandomStream::Below(uint64_t index, int64_t n) const {
  TORII_CHECK(n >= 1, "Below(", index, ", ", n, "): n must be at least 1");
  __extension__ using Uint128 = unsigned __int128;
  return static_cast<int64_t>(Uint128{Bits(index)} * static_cast<uint64_t>(n) >> 64);
}

void RandomStream::NormalRow(uint64_t row, std::span<float> out) const {
  torii::NormalRow(RowKey(), row, out);
}

void RandomStream::UniformRow(uint64_t row, std::span<float> out) const {
  torii::UniformRow(RowKey(), row, out);
}

void NormalRow(PhiloxKey key, uint64_t row, std::span<float> out) {
  ForEachBlockOfRow(key, row, out.size(), [out](const PhiloxCounter& words, size_t k) {
    const auto [n0, n1] = BoxMuller(words[0], words[1]);
    const auto [n2, n3] = BoxMuller(words[2], words[3]);
    const std::array<float, 4> normals = {n0, n1, n2, n3};
    std::copy_n(normals.begin(), std::min<size_t>(4, out.size() - k),
                out.begin() + static_cast<ptrdiff_t>(k));
  });
}

void UniformRow(PhiloxKey key, uint64_t row, std::span<float> out) {
  ForEachBlockOfRow(key, row, out.size(), [out](const PhiloxCounter& words, size_t k) {
    for (size_t i = 0; i < std::min<size_t>(4, out.size() - k); ++i) {
      out[k + i] = static_cast<float>(words[i] >> 8) * 0x1p-24f;
    }
  });
}

PhiloxKey RandomStream::RowKey() const {
  return KeyFrom(MixSeed(BitsOf(key_) ^ kRowDomain, step_));
}

}  // namespace torii
