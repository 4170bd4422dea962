// Vectors laid out for tiles of scores: panels of kTile vectors, the last one filled up; a panel in
// slices of kDepth dimensions, the last one filled up; a slice as [kDepth][kTile]. So the items of
// any tiles are one stream of slices.
//
// What fills up leaves scores as they are, to the bit: behind the dimensions of a query stands -0,
// behind those of an item 0, and x + -0 * 0 = x for every x. Items that do not exist are NaN, whose
// scores pass no comparison.
#pragma once

#include <cstdint>

#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {

constexpr int kTile = 128, kDepth = 8;
constexpr int kSliceFloats = kDepth * kTile;

__host__ __device__ inline int64_t TilesOf(int64_t n) { return (n + kTile - 1) / kTile; }
// At least one, so that items that do not exist are told where there are no dimensions.
__host__ __device__ inline int SlicesOf(int64_t dim) {
  return dim == 0 ? 1 : static_cast<int>((dim + kDepth - 1) / kDepth);
}
inline int64_t PackedFloats(int64_t n, int64_t dim) {
  return TilesOf(n) * SlicesOf(dim) * kSliceFloats;
}

// packed [PackedFloats(n, dim)]
void PackItems(const float* vectors, int64_t n, int64_t dim, float* packed);
void PackQueries(const float* vectors, int64_t n, int64_t dim, float* packed);

}  // namespace torii::kernels::cuda
