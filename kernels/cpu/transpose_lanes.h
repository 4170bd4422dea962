// A square of vectors, transposed in registers.
#pragma once

#include "kernels/cpu/vector_lanes.h"

namespace torii::kernels::cpu {
namespace {

// One step of a transposition: exchanges lanes at distance kStep between the vectors i and
// i + kStep.
template <int kStep>
[[gnu::always_inline]] inline void ExchangeLanes(Ints (&x)[kLanes]) {
  Ints low, high;
#pragma GCC unroll 16
  for (int lane = 0; lane < kLanes; ++lane) {
    low[lane] = lane & kStep ? kLanes + lane - kStep : lane;
    high[lane] = lane & kStep ? kLanes + lane : lane + kStep;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & kStep) continue;
    const Ints a = x[i], b = x[i + kStep];
    x[i] = __builtin_shuffle(a, b, low);
    x[i + kStep] = __builtin_shuffle(a, b, high);
  }
  if constexpr (kStep > 1) ExchangeLanes<kStep / 2>(x);
}

// Lane i of vector j becomes lane j of vector i.
[[gnu::always_inline]] inline void TransposeLanes(Ints (&square)[kLanes]) {
  ExchangeLanes<kLanes / 2>(square);
}

}  // namespace
}  // namespace torii::kernels::cpu
