// Tiles of rows of bfloat16 numbers in shared memory, in chunks of 16 bytes.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {

// Where chunk c of row r of a tile lies. The 8 rows of one matrix of an instruction have their
// chunks in different banks: with 8 chunks or more a row fills all banks, and the chunk's number is
// mixed with the row's; with fewer, so many rows as fill the banks share a number. Hence the place of
// chunk c ^ d is the place of c, ^ d, and 8 rows further it is 8 * kChunks further.
template <int kChunks>
__device__ __forceinline__ int PlaceOfChunk(int r, int c) {
  constexpr int kMixed = kChunks < 8 ? kChunks : 8;
  return r * kChunks + (c ^ (r / (8 / kMixed) % kMixed));
}

// The rows of a tile, which lie one after the other, by all threads of a block.
template <int kRows, int kChunks, int kThreads>
__device__ __forceinline__ void CopyTile(uint4* tile, const uint16_t* from) {
  static_assert(kThreads / kChunks % 8 == 0 && kRows * kChunks % kThreads == 0);
  tile += PlaceOfChunk<kChunks>(Thread() / kChunks, Thread() % kChunks);
  from += Thread() * 8;
  TORII_UNROLL
  for (int i = 0; i < kRows * kChunks; i += kThreads) CopyAsync(tile + i, from + i * 8);
}

}  // namespace torii::kernels::cuda
