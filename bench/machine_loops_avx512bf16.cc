// Products of pairs of bf16 summed in float32; empty where the compiler has no such target.
#include "bench/machine_loops.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace torii::bench {
#if defined(__AVX512BF16__)
namespace {

constexpr int kSums = 24;

float DotLoop(int64_t rounds) {
  __m512 sums[kSums];
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_ps(1.0F + static_cast<float>(i));
  __m512i one = _mm512_set1_epi16(0x3f80), small = _mm512_set1_epi16(0x3c00);
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : "+v"(one), "+v"(small));  // else the products leave the loop
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) {
      sums[i] = _mm512_dpbf16_ps(sums[i], reinterpret_cast<__m512bh>(one),
                                 reinterpret_cast<__m512bh>(small));
    }
  }
#pragma GCC unroll 24
  for (int i = 1; i < kSums; ++i) sums[0] += sums[i];
  float sum = 0;
  for (int k = 0; k < 16; ++k) sum += sums[0][k];
  return sum;
}

constexpr Bf16Loop kLoop = {int64_t{4} * kSums * 16, DotLoop};

}  // namespace
const Bf16Loop* const kLoopAvx512Bf16 = &kLoop;
#else
const Bf16Loop* const kLoopAvx512Bf16 = nullptr;
#endif
}  // namespace torii::bench
