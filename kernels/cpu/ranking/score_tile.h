// The score kernels, written once; compiled by score_{baseline,avx2,avx512}.cc.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>  // every function of it is inlined always, so none is left for the linker
#endif

#include "kernels/cpu/ranking/dot_tile.h"
#include "kernels/cpu/ranking/score_variant.h"

namespace torii::kernels::cpu {
namespace {

template <int kVectors>
void StoreScores(const ScoreTile& tile, float* out, int64_t stride) {
  Floats sums[kTileRows][kVectors];
  DotProducts<kVectors>(tile.q, tile.panel, tile.dim, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) Store(out + r * stride + k * kLanes, sums[r][k]);
  }
}

void ScoreTileRows(const ScoreTile& tile, int64_t vectors, float* out, int64_t stride) {
  static_assert(kPanelVectors <= 3);
  if (vectors == 1) return StoreScores<1>(tile, out, stride);
  if (vectors == 2) return StoreScores<2>(tile, out, stride);
  StoreScores<kPanelVectors>(tile, out, stride);
}

// Bit l is set where a > b in lane l.
[[gnu::always_inline]] inline uint64_t LanesAbove(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), _CMP_GT_OQ);
#elif defined(__AVX2__)
  return static_cast<uint64_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(a > b)));
#elif defined(__x86_64__)
  return static_cast<uint64_t>(_mm_movemask_ps(reinterpret_cast<__m128>(a > b)));
#else
  uint64_t bits = 0;
  for (int l = 0; l < kLanes; ++l) bits |= static_cast<uint64_t>(a[l] > b[l]) << l;
  return bits;
#endif
}

// Bit j is set where the score of item j of a panel is above the limit.
[[gnu::always_inline]] inline uint64_t ItemsAbove(const Floats (&scores)[kPanelVectors],
                                                  Floats limit) {
  static_assert(kPanelWidth <= 64);
  uint64_t above = 0;
#pragma GCC unroll 8
  for (int k = 0; k < kPanelVectors; ++k) above |= LanesAbove(scores[k], limit) << (k * kLanes);
  return above;
}

void CountTileScores(const ScoreTile& tile, const CountTile& count) {
  Floats sums[kTileRows][kPanelVectors];
  DotProducts<kPanelVectors>(tile.q, tile.panel, tile.dim, sums);
  const float* limit = count.limit;
  int32_t* counters = count.counters;
  for (int64_t round = 0; round < count.rounds; ++round) {
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
      counters[r] += __builtin_popcountll(ItemsAbove(sums[r], Broadcast(limit[r])));
    }
    limit += kTileRows;
    counters += kTileRows;
  }
  if (count.scores == nullptr) return;
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      Store(count.scores + r * kPanelWidth + k * kLanes, sums[r][k]);
    }
  }
}

// One branch for all rows: which of them pass cannot be foreseen.
uint32_t FilterTileScores(const ScoreTile& tile, const FilterTile& filter) {
  Floats sums[kTileRows][kPanelVectors];
  DotProducts<kPanelVectors>(tile.q, tile.panel, tile.dim, sums);
  uint32_t passing = 0;
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
    filter.above[r] = ItemsAbove(sums[r], Broadcast(filter.limit[r]));
    passing |= static_cast<uint32_t>(filter.above[r] != 0) << r;
  }
  if (passing == 0) return 0;
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      Store(filter.scores + r * kPanelWidth + k * kLanes, sums[r][k]);
    }
  }
  return passing;
}

// The multiply-adds of a tile for one score, fused where the tiles fuse theirs.
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

constexpr ScoreVariant MakeScoreVariant(const char* name) {
  return {name,          kTileRows,       kPanelWidth,      kLanes,
          ScoreTileRows, CountTileScores, FilterTileScores, ScorePair};
}

}  // namespace
}  // namespace torii::kernels::cpu
