// Draws from a fixed discrete distribution in O(1): Walker's alias method, built by Vose's
// algorithm.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace torii::sampler {

class AliasTable {
 public:
  AliasTable() = default;
  // probabilities: at least one, none negative, summing to about 1. O(n).
  explicit AliasTable(std::span<const double> probabilities);
  // Draw number `index` of the stream: a pure function of (table, stream, index).
  int64_t Draw(const RandomStream& stream, uint64_t index) const;

 private:
  std::vector<double> keep_;    // [n] probability to keep the outcome rather than take its alias
  std::vector<int64_t> alias_;  // [n]
};

}  // namespace torii::sampler
