// Scores as bits: in the order of numbers, and the next one above.
#pragma once

#include <cstdint>

#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {

__host__ __device__ inline uint32_t BitsOf(float number) {
  union {
    float number;
    uint32_t bits;
  } both;
  both.number = number;
  return both.bits;
}
__host__ __device__ inline float FloatOf(uint32_t bits) {
  union {
    uint32_t bits;
    float number;
  } both;
  both.bits = bits;
  return both.number;
}

__host__ __device__ inline float NotANumber() { return FloatOf(0x7FC00000U); }

// The smallest number above x: s > x where s >= NextAbove(x). NaN above infinity and NaN, which
// nothing is.
__device__ inline float NextAbove(float x) {
  if (x != x) return x;
  const uint32_t bits = BitsOf(x + 0.0F);  // -0 is 0
  return FloatOf((bits >> 31) != 0 ? bits - 1 : bits + 1);
}

}  // namespace torii::kernels::cuda
