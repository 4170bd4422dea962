// The kernels of linear layers, written once; compiled by linear_{baseline,avx2,avx512}.cc.
#pragma once

#include "kernels/cpu/linear_variant.h"
#include "kernels/cpu/transpose_lanes.h"
#include "kernels/cpu/vector_lanes.h"

namespace torii::kernels::cpu {
namespace {

// As many accumulators as the registers hold beside a row of the panel.
#if defined(__AVX512F__)
constexpr int kTileHeight = 6, kTileVectors = 4;
#elif defined(__AVX2__)
constexpr int kTileHeight = 6, kTileVectors = 2;
#else
constexpr int kTileHeight = 4, kTileVectors = 2;
#endif

// A tile of sums held in registers.
template <int kRows, int kVectors>
using Tile = Floats[kRows][kVectors];

// sums[m][k] += a[m * row_stride + s * step_stride] * b[s * b_stride + vector k], s in order.
template <int kRows, int kVectors>
[[gnu::always_inline]] inline void AddProducts(const float* a, int64_t row_stride,
                                               int64_t step_stride, const float* b,
                                               int64_t b_stride, int64_t steps,
                                               Tile<kRows, kVectors>& sums) {
  for (int64_t s = 0; s < steps; ++s) {
    Floats row[kVectors];
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) row[k] = Load(b + k * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
      for (int k = 0; k < kVectors; ++k) sums[m][k] += a[m * row_stride] * row[k];
    }
    a += step_stride;
    b += b_stride;
  }
}

template <int kRows, int kVectors>
[[gnu::always_inline]] inline void MultiplyTile(const PanelProduct& p, int64_t first) {
  Tile<kRows, kVectors> sums;
#pragma GCC unroll 8
  for (int k = 0; k < kVectors; ++k) {
    const Floats start = p.start != nullptr ? Load(p.start + k * kLanes) : Floats{};
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) sums[m][k] = start;
  }
  AddProducts<kRows, kVectors>(p.a + first * p.a_stride, p.a_stride, 1, p.b, kVectors * kLanes,
                               p.steps, sums);
  const Floats zero{};
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
    const int64_t at = (first + m) * p.out_stride;
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) {
      Floats sum = sums[m][k];
      if (p.relu) sum = sum < zero ? zero : sum;  // NaN stays
      if (p.mask != nullptr) sum = Load(p.mask + at + k * kLanes) <= zero ? zero : sum;
      Store(p.out + at + k * kLanes, sum);
    }
  }
}

template <int kVectors>
void MultiplyPanel(const PanelProduct& p) {
  int64_t r = 0;
  for (; r + kTileHeight <= p.rows; r += kTileHeight) MultiplyTile<kTileHeight, kVectors>(p, r);
  if (r + 4 <= p.rows) MultiplyTile<4, kVectors>(p, r), r += 4;
  if (r + 2 <= p.rows) MultiplyTile<2, kVectors>(p, r), r += 2;
  if (r < p.rows) MultiplyTile<1, kVectors>(p, r);
}

void Multiply(const PanelProduct& p) {
  static_assert(kTileVectors <= 4);
  if (p.vectors == 1) return MultiplyPanel<1>(p);
  if (p.vectors == 2) return MultiplyPanel<2>(p);
  if constexpr (kTileVectors > 2) {
    if (p.vectors == 3) return MultiplyPanel<3>(p);
    MultiplyPanel<kTileVectors>(p);
  }
}

template <int kRows, int kVectors>
[[gnu::always_inline]] inline void AddOuterTile(const OuterProduct& p, int64_t first) {
  Tile<kRows, kVectors> sums;
  float* out = p.out + first * p.out_stride;
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) sums[m][k] = Load(out + m * p.out_stride + k * kLanes);
  }
  AddProducts<kRows, kVectors>(p.g + first, 1, p.g_stride, p.x, p.x_stride, p.rows, sums);
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) Store(out + m * p.out_stride + k * kLanes, sums[m][k]);
  }
}

template <int kVectors>
void AddOuterPanel(const OuterProduct& p) {
  int64_t o = 0;
  for (; o + kTileHeight <= p.outputs; o += kTileHeight) AddOuterTile<kTileHeight, kVectors>(p, o);
  if (o + 4 <= p.outputs) AddOuterTile<4, kVectors>(p, o), o += 4;
  if (o + 2 <= p.outputs) AddOuterTile<2, kVectors>(p, o), o += 2;
  if (o < p.outputs) AddOuterTile<1, kVectors>(p, o);
}

void AddOuter(const OuterProduct& p) {
  if (p.vectors == 1) return AddOuterPanel<1>(p);
  if (p.vectors == 2) return AddOuterPanel<2>(p);
  if constexpr (kTileVectors > 2) {
    if (p.vectors == 3) return AddOuterPanel<3>(p);
    AddOuterPanel<kTileVectors>(p);
  }
}

void AddRows(const float* g, int64_t stride, int64_t rows, int64_t vectors, float* sums) {
  for (int64_t k = 0; k < vectors; ++k) {
    Floats sum = Load(sums + k * kLanes);
    for (int64_t r = 0; r < rows; ++r) sum += Load(g + r * stride + k * kLanes);
    Store(sums + k * kLanes, sum);
  }
}

void Transpose(const float* rows, int64_t count, int64_t width, int64_t padded, float* out) {
  for (int64_t first = 0; first < padded; first += kLanes) {
    for (int64_t column = 0; column < width; column += kLanes) {
      const int64_t columns = width - column;
      Ints square[kLanes] = {};
      for (int i = 0; i < kLanes && first + i < count; ++i) {
        square[i] = reinterpret_cast<Ints>(LoadFirst(rows + (first + i) * width + column, columns));
      }
      TransposeLanes(square);
      for (int i = 0; i < kLanes && i < columns; ++i) {
        Store(out + (column + i) * padded + first, reinterpret_cast<Floats>(square[i]));
      }
    }
  }
}

[[gnu::always_inline]] inline float SumOfLanes(Floats x) {
  float sum = 0;
#pragma GCC unroll 16
  for (int lane = 0; lane < kLanes; ++lane) sum += x[lane];
  return sum;
}

[[gnu::always_inline]] inline float Dot(const float* x, const float* y, int64_t vectors) {
  Floats sum{};
  for (int64_t k = 0; k < vectors; ++k) sum += Load(x + k * kLanes) * Load(y + k * kLanes);
  return SumOfLanes(sum);
}

void Normalize(float* y, int64_t stride, int64_t rows, int64_t vectors, float min_length,
               float* inverse) {
  for (int64_t r = 0; r < rows; ++r, y += stride) {
    const float length = __builtin_sqrtf(Dot(y, y, vectors));
    const bool is_short = length <= min_length;  // not NaN
    const float scale = 1 / (is_short ? min_length : length);
    inverse[r] = is_short ? 0 : scale;
    for (int64_t k = 0; k < vectors; ++k) Store(y + k * kLanes, Load(y + k * kLanes) * scale);
  }
}

void NormalizeBackward(const float* g, const float* y, int64_t stride, const float* inverse,
                       int64_t rows, int64_t vectors, float* out) {
  for (int64_t r = 0; r < rows; ++r, g += stride, y += stride, out += vectors * kLanes) {
    const float along = Dot(g, y, vectors);
    for (int64_t k = 0; k < vectors; ++k) {
      const Floats across = Load(g + k * kLanes) - Load(y + k * kLanes) * along;
      Store(out + k * kLanes, across * inverse[r]);
    }
  }
}

constexpr LinearVariant MakeLinearVariant(const char* name) {
  return {name,    kLanes,    kTileVectors, Multiply,         AddOuter,
          AddRows, Transpose, Normalize,    NormalizeBackward};
}

}  // namespace
}  // namespace torii::kernels::cpu
