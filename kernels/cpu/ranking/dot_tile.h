// Dot products of a tile of query rows with one panel of items, held in registers while they run
// over the dimensions in order: one multiply-add each, so that a score depends on its two vectors
// alone.
#pragma once

#include "kernels/cpu/vector_lanes.h"

namespace torii::kernels::cpu {
namespace {

// As many accumulators as the registers hold (measured: 8 x 48 floats on AVX-512, 6 x 16 on AVX2).
#if defined(__AVX512F__)
constexpr int kTileRows = 8, kPanelVectors = 3;
#elif defined(__AVX2__)
constexpr int kTileRows = 6, kPanelVectors = 2;
#else
constexpr int kTileRows = 4, kPanelVectors = 2;
#endif
constexpr int kPanelWidth = kPanelVectors * kLanes;

// sums[r][k] = the scores of row r and the k-th vector of items.
template <int kVectors>
[[gnu::always_inline]] inline void DotProducts(const float* q, const float* panel, int64_t dim,
                                               Floats (&sums)[kTileRows][kVectors]) {
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) sums[r][k] = Floats{};
  }
  for (int64_t d = 0; d < dim; ++d) {
    Floats items[kVectors];
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) items[k] = Load(panel + k * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
      for (int k = 0; k < kVectors; ++k) sums[r][k] += q[r] * items[k];
    }
    q += kTileRows;
    panel += kPanelWidth;
  }
}

}  // namespace
}  // namespace torii::kernels::cpu
