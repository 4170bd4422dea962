// The score kernels, written once; compiled by score_{baseline,avx2,avx512}.cc.
#pragma once

#include "kernels/dot_tile.h"
#include "kernels/score_variant.h"

namespace torii::kernels {
namespace {

template <int kVectors>
void StoreScores(const float* q, const float* panel, int64_t dim, float* out, int64_t stride) {
  Floats sums[kTileRows][kVectors];
  DotProducts<kVectors>(q, panel, dim, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) Store(out + r * stride + k * kLanes, sums[r][k]);
  }
}

void ScoreTile(const float* q, const float* panel, int64_t dim, int64_t vectors, float* out,
               int64_t stride) {
  static_assert(kPanelVectors <= 3);
  if (vectors == 1) return StoreScores<1>(q, panel, dim, out, stride);
  if (vectors == 2) return StoreScores<2>(q, panel, dim, out, stride);
  StoreScores<kPanelVectors>(q, panel, dim, out, stride);
}

// -1 in the lanes whose item, `first` + lane, is before `limit`.
[[gnu::always_inline]] inline Ints ItemsBefore(int32_t limit, int32_t first) {
  Ints before;
#pragma GCC unroll 16
  for (int lane = 0; lane < kLanes; ++lane) before[lane] = lane;
  return before < (limit - first) - Ints{};
}

// What one row adds to its counters: ties count where the item is before `tie_before`.
[[gnu::always_inline]] inline Ints CountRow(const Floats (&sums)[kPanelVectors], float threshold,
                                            int64_t tie_before, Ints counters) {
  const Floats limit = Broadcast(threshold);
  if (tie_before <= 0) {
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) counters -= sums[k] > limit;
  } else if (tie_before >= kPanelWidth) {
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) counters -= sums[k] >= limit;
  } else {
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      const Ints before = ItemsBefore(static_cast<int32_t>(tie_before), k * kLanes);
      counters -= (sums[k] > limit) | ((sums[k] == limit) & before);
    }
  }
  return counters;
}

void CountTileScores(const CountTile& tile) {
  Floats sums[kTileRows][kPanelVectors];
  DotProducts<kPanelVectors>(tile.q, tile.panel, tile.dim, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
    IntsInMemory* counters = reinterpret_cast<IntsInMemory*>(tile.counters + r * kLanes);
    *counters = CountRow(sums[r], tile.threshold[r], tile.tie_before[r], *counters);
  }
}

// The same multiply-adds in the same order. Written with the fused instruction where the tiles use
// it, so that no reordering by the vectoriser is possible.
float ScorePair(const float* q, const float* v, int64_t dim) {
  float sum = 0;
  for (int64_t d = 0; d < dim; ++d) {
#if defined(__FMA__)
    sum = __builtin_fmaf(q[d], v[d], sum);
#else
    sum += q[d] * v[d];
#endif
  }
  return sum;
}

void MultiplyAdd(int64_t steps, float factor, float* out) {
  const Floats x = Broadcast(factor);
  Floats sums[kTileRows * kPanelVectors];
#pragma GCC unroll 32
  for (int i = 0; i < kTileRows * kPanelVectors; ++i) sums[i] = x + static_cast<float>(i);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 32
    for (int i = 0; i < kTileRows * kPanelVectors; ++i) sums[i] = sums[i] * x + x;
  }
#pragma GCC unroll 32
  for (int i = 1; i < kTileRows * kPanelVectors; ++i) sums[0] += sums[i];
  Store(out, sums[0]);
}

constexpr ScoreVariant MakeScoreVariant(const char* name) {
  return {name, kTileRows, kPanelWidth, kLanes, ScoreTile, CountTileScores, ScorePair, MultiplyAdd};
}

}  // namespace
}  // namespace torii::kernels
