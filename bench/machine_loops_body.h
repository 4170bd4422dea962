// The loops of machine_loops.h, written once and included by
// machine_loops_{baseline,avx2,avx512}.cc, which are compiled for different instruction sets.
#pragma once

#include "bench/machine_loops.h"
#include "kernels/cpu/vector_lanes.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace torii::bench {
namespace {

using kernels::cpu::Broadcast;
using kernels::cpu::Floats;
using kernels::cpu::Ints;
using kernels::cpu::kLanes;
using kernels::cpu::Load;

constexpr int kVectorsPerRow = kRowFloats / kLanes;

[[gnu::always_inline]] inline float SumOfLanes(Floats x) {
  float sum = 0;
  for (int k = 0; k < kLanes; ++k) sum += x[k];
  return sum;
}

// Enough independent sums to hide the latency of a multiply-add, few enough to stay in registers.
#if defined(__AVX512F__)
constexpr int kSums = 24;
#else
constexpr int kSums = 12;
#endif

float FmaLoop(int64_t rounds) {
  Floats sums[kSums];
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) sums[i] = Broadcast(1.0F + static_cast<float>(i));
  const Floats factor = Broadcast(0.999F), addend = Broadcast(0.001F);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + addend;
  }
#pragma GCC unroll 24
  for (int i = 1; i < kSums; ++i) sums[0] += sums[i];
  return SumOfLanes(sums[0]);
}

// 2^x = 2^n * 2^r for x = n + r with n whole and |r| <= 1/2: a minimax polynomial gives 2^r, and n
// is added to its exponent.
[[gnu::always_inline]] inline Floats Exp2OfVector(Floats x) {
  const Floats round = Broadcast(12582912.0F);  // 1.5 * 2^23
  const Floats rounded = x + round;
  const Floats r = x - (rounded - round);
  Floats p = r * 0.00132764712F + 0.00967554162F;
  p = p * r + 0.0555071328F;
  p = p * r + 0.240221197F;
  p = p * r + 0.693146967F;
  p = p * r + 1.00000007F;
  return reinterpret_cast<Floats>(reinterpret_cast<Ints>(p) +
                                  (reinterpret_cast<Ints>(rounded) << 23));
}

float Exp2Loop(const float* x, int64_t n) {
  Floats sums[4] = {};
  for (int64_t i = 0; i < n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums[k] += Exp2OfVector(Load(x + i + k * kLanes));
  }
  return SumOfLanes(sums[0] + sums[1] + sums[2] + sums[3]);
}

[[gnu::always_inline]] inline void PrefetchRow(const float* row, bool to_write) {
  constexpr int kFloatsPerLine = 16;
#pragma GCC unroll 4
  for (int k = 0; k < kRowFloats; k += kFloatsPerLine) {
    to_write ? __builtin_prefetch(row + k, 1, 3) : __builtin_prefetch(row + k, 0, 3);
  }
}

float ReadRowsLoop(const float* table, const uint32_t* rows, int64_t n) {
  Floats sums[kVectorsPerRow] = {};
  for (int64_t i = 0; i < n; ++i) {
    PrefetchRow(table + int64_t{rows[i + kRowsAhead]} * kRowFloats, false);
    const float* row = table + int64_t{rows[i]} * kRowFloats;
#pragma GCC unroll 16
    for (int k = 0; k < kVectorsPerRow; ++k) sums[k] += Load(row + k * kLanes);
  }
#pragma GCC unroll 16
  for (int k = 1; k < kVectorsPerRow; ++k) sums[0] += sums[k];
  return SumOfLanes(sums[0]);
}

[[gnu::always_inline]] inline void StorePastCaches(float* p, Floats x) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, x);
#elif defined(__AVX2__)
  _mm256_stream_ps(p, x);
#elif defined(__SSE2__)
  _mm_stream_ps(p, x);
#else
  kernels::cpu::Store(p, x);
#endif
}

void CopyRowsLoop(const float* table, const uint32_t* rows, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    PrefetchRow(table + int64_t{rows[i + kRowsAhead]} * kRowFloats, false);
    const float* row = table + int64_t{rows[i]} * kRowFloats;
#pragma GCC unroll 16
    for (int k = 0; k < kVectorsPerRow; ++k) {
      StorePastCaches(out + i * kRowFloats + k * kLanes, Load(row + k * kLanes));
    }
  }
}

void UpdateRowsLoop(float* table, const uint32_t* rows, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    PrefetchRow(table + int64_t{rows[i + kRowsAhead]} * kRowFloats, true);
    float* row = table + int64_t{rows[i]} * kRowFloats;
#pragma GCC unroll 16
    for (int k = 0; k < kVectorsPerRow; ++k) {
      kernels::cpu::Store(row + k * kLanes, Load(row + k * kLanes) * 0.999F);
    }
  }
}

constexpr MachineLoops kTheseLoops = {
    int64_t{2} * kSums * kLanes, FmaLoop, Exp2Loop, ReadRowsLoop, CopyRowsLoop, UpdateRowsLoop};

}  // namespace
}  // namespace torii::bench
