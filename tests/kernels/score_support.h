// Seeded vectors and a test that runs for every instruction set of this machine.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {

inline std::vector<float> RandomVectors(int64_t rows, int64_t dim, std::string_view purpose) {
  std::vector<float> out(static_cast<size_t>(rows * dim));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(2 * RandomStream(7, purpose).Uniform(i) - 1);
  }
  return out;
}

// Elements -2 .. 2: scores are exact and most of them tie.
inline std::vector<float> SmallIntegers(int64_t rows, int64_t dim, std::string_view purpose) {
  std::vector<float> out(static_cast<size_t>(rows * dim));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(RandomStream(7, purpose).Below(i, 5) - 2);
  }
  return out;
}

inline bool SameBits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

using ScoreVariantsTest = ::testing::TestWithParam<const ScoreVariant*>;

inline std::string VariantName(const ::testing::TestParamInfo<const ScoreVariant*>& info) {
  return info.param->name;
}

}  // namespace torii::kernels::cpu
