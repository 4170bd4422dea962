// The score kernels, written once; compiled by score_{baseline,avx2,avx512}.cc.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>  // every function of it is inlined always, so none is left for the linker
#endif

#include "kernels/dot_tile.h"
#include "kernels/score_variant.h"

namespace torii::kernels {
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

void ScoreRow(const ScoreTile& tile, float* out) {
  Floats sums[kPanelVectors] = {};
  for (int64_t d = 0; d < tile.dim; ++d) {
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      sums[k] += tile.q[d * kTileRows] * Load(tile.panel + d * kPanelWidth + k * kLanes);
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < kPanelVectors; ++k) Store(out + k * kLanes, sums[k]);
}

void CountTileScores(const ScoreTile& tile, const CountTile& count) {
  Floats sums[kTileRows][kPanelVectors];
  DotProducts<kPanelVectors>(tile.q, tile.panel, tile.dim, sums);
  const float* limit = count.limit;
  int32_t* counters = count.counters;
  for (int64_t round = 0; round < count.rounds; ++round) {
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
      const Floats row_limit = Broadcast(limit[r]);
      IntsInMemory* row_counters = reinterpret_cast<IntsInMemory*>(counters + r * kLanes);
      Ints n = *row_counters;
#pragma GCC unroll 8
      for (int k = 0; k < kPanelVectors; ++k) n -= sums[r][k] > row_limit;
      *row_counters = n;
    }
    limit += kTileRows;
    counters += kTileRows * kLanes;
  }
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

void FilterTileScores(const ScoreTile& tile, const FilterTile& filter) {
  static_assert(kPanelWidth <= 64);
  Floats sums[kTileRows][kPanelVectors];
  DotProducts<kPanelVectors>(tile.q, tile.panel, tile.dim, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
    const Floats limit = Broadcast(filter.limit[r]);
    uint64_t above = 0;
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) above |= LanesAbove(sums[r][k], limit) << (k * kLanes);
    filter.above[r] = above;
    if (above == 0) continue;
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      Store(filter.scores + r * kPanelWidth + k * kLanes, sums[r][k]);
    }
  }
}

// Where lane l of a mixture of two vectors comes from (b's lanes count from kLanes): with `stride`
// a power of two, every other run of `stride` lanes is exchanged between the two.
constexpr int FromFirst(int l, int stride) { return (l & stride) == 0 ? l : kLanes + l - stride; }
constexpr int FromSecond(int l, int stride) { return (l & stride) == 0 ? l + stride : kLanes + l; }

// x[i][j] <-> x[j][i].
[[gnu::always_inline]] inline void Transpose(Floats (&x)[kLanes]) {
#pragma GCC unroll 4
  for (int stride = kLanes / 2; stride > 0; stride /= 2) {
    Ints first, second;
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) {
      first[l] = FromFirst(l, stride);
      second[l] = FromSecond(l, stride);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if ((i & stride) != 0) continue;
      const Floats a = x[i], b = x[i + stride];
      x[i] = __builtin_shuffle(a, b, first);
      x[i + stride] = __builtin_shuffle(a, b, second);
    }
  }
}

// The next multiply-add of a score's sum, on lanes and alone: fused where the tiles fuse theirs.
float AddProduct(float sum, float a, float b) {
#if defined(__FMA__)
  return __builtin_fmaf(a, b, sum);
#else
  return sum + a * b;
#endif
}

// The scores of kLanes rows of v, a row in each lane: blocks of kLanes dimensions are transposed.
void ScoreLanes(const float* q, const float* const (&v)[kLanes], int64_t dim, float* out) {
  Floats sums = {};
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    Floats x[kLanes];
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) x[l] = Load(v[l] + d);
    Transpose(x);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) sums += q[d + i] * x[i];
  }
  Store(out, sums);
  for (; d < dim; ++d) {
    for (int l = 0; l < kLanes; ++l) out[l] = AddProduct(out[l], q[d], v[l][d]);
  }
}

void ScoreList(const float* q, const float* v, int64_t dim, const int64_t* rows, int64_t n,
               float* out) {
  constexpr int64_t kFloatsOfLine = 16;
  const float* lane_rows[kLanes];
  float scores[kLanes];
  for (int64_t first = 0; first < n; first += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      lane_rows[l] = v + rows[first + l < n ? first + l : n - 1] * dim;
      if (first + kLanes + l >= n) continue;
      const float* later = v + rows[first + kLanes + l] * dim;
      for (int64_t d = 0; d < dim; d += kFloatsOfLine) __builtin_prefetch(later + d);
    }
    ScoreLanes(q, lane_rows, dim, scores);
    for (int64_t l = 0; l < kLanes && first + l < n; ++l) out[first + l] = scores[l];
  }
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
  return {name,     kTileRows,       kPanelWidth,      kLanes,    ScoreTileRows,
          ScoreRow, CountTileScores, FilterTileScores, ScoreList, MultiplyAdd};
}

}  // namespace
}  // namespace torii::kernels
