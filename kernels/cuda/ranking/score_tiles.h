// The scores of queries against a stream of items, tile by tile in registers: products of packed
// vectors (packed_vectors.h). A score is one fused multiply-add for each dimension in ascending
// order, so that it has the same bits in every kernel.
//
// A block has kTile queries against kTile items. Each of its 8 warps has 32 rows (queries) and 64
// columns (items) of the tile, each lane 8 rows and 8 columns of these: two runs of four either way,
// so that it reads shared memory in vectors of four. Neighbouring lanes differ in their rows, pairs
// of them in their columns: lanes that read at once read few different addresses.
#pragma once

#include "kernels/cuda/ranking/packed_vectors.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {

constexpr int kTileThreads = 256;
constexpr int kSide = 8;  // rows, and columns, of a thread
// Two stages of shared memory, each with a slice of the queries and one of the items: one is read
// while the other arrives.
constexpr int kStageFloats = 2 * kSliceFloats;
constexpr size_t kStageBytes = size_t{2} * kStageFloats * sizeof(float);

struct TileScores {
  float at[kSide][kSide];  // [row][column]
};

// ---- Where the scores of a lane stand ----

__device__ inline int LaneRow() { return LaneOf() % 2 + LaneOf() / 16 * 2; }  // of 4
__device__ inline int LaneColumn() { return LaneOf() / 2 % 8; }               // of 8
// The places in the tile of rows r and columns c of this thread.
__device__ inline int RowOf(int r) {
  return WarpOfBlock() / 2 * 32 + r / 4 * 16 + LaneRow() * 4 + r % 4;
}
__device__ inline int ColumnOf(int c) {
  return WarpOfBlock() % 2 * 64 + c / 4 * 32 + LaneColumn() * 4 + c % 4;
}

// Eight lanes of a warp share their 8 rows. Each of them has one as its own: row LaneColumn().
__device__ inline int OwnRow() { return RowOf(LaneColumn()); }
// What the lane whose own row is row r here has as `value`. All lanes call it.
template <class T>
__device__ inline T FromOwner(T value, int r) {
  return __shfl_sync(kAllLanes, value, (LaneOf() & 0x11) | r << 1);
}

// ---- Counts ----

// A small number for each row of a thread: a byte each.
struct RowCounts {
  uint32_t rows[kSide / 4] = {};

  __device__ void Add(int r, bool one) { rows[r / 4] += one ? 1U << r % 4 * 8 : 0U; }
  __device__ int Of(int r) const {
    return static_cast<int>((r < 4 ? rows[0] : rows[1]) >> r % 4 * 8 & 0xFF);
  }
  __device__ bool AreAny() const { return (rows[0] | rows[1]) != 0; }
  // The sums over the columns of the lanes of the same rows before this one. All lanes call it.
  __device__ RowCounts SumBefore() const {
    RowCounts sum = *this;
    TORII_UNROLL
    for (int step = 1; step <= 4; step *= 2) {
      TORII_UNROLL
      for (uint32_t& four : sum.rows) {
        const uint32_t other = __shfl_sync(kAllLanes, four, (LaneOf() - 2 * step) & 0x1F);
        if (LaneColumn() >= step) four += other;
      }
    }
    for (int i = 0; i < kSide / 4; ++i) sum.rows[i] -= rows[i];
    return sum;
  }
  // The sum over the columns of the warp, of the lane's own row. All lanes call it.
  __device__ int SumOfOwn() const {
    RowCounts sum = *this;
    TORII_UNROLL
    for (int step = 2; step <= 8; step *= 2) {
      TORII_UNROLL
      for (uint32_t& four : sum.rows) four += __shfl_xor_sync(kAllLanes, four, step);
    }
    return sum.Of(LaneColumn());
  }
};

// The scores of each row that are at least what its owner says. All lanes call it.
__device__ inline RowCounts CountAtLeast(const TileScores& scores, float least_of_own) {
  RowCounts counts;
  TORII_UNROLL
  for (int r = 0; r < kSide; ++r) {
    const float least = FromOwner(least_of_own, r);
    TORII_UNROLL
    for (int c = 0; c < kSide; ++c) counts.Add(r, scores.at[r][c] >= least);
  }
  return counts;
}

// ---- Products ----

// Starts the copies of a slice of queries and one of items, a vector of four of each by each thread.
__device__ inline void CopyStage(const float* q, const float* v, float* stage) {
  CopyAsync(stage + Thread() * 4, q + Thread() * 4);
  CopyAsync(stage + kSliceFloats + Thread() * 4, v + Thread() * 4);
  CloseGroupOfCopies();
}
static_assert(kSliceFloats == kTileThreads * 4);

__device__ inline void MultiplyStage(const float* stage, TileScores* scores) {
  const float* const of_q = stage + RowOf(0);
  const float* const of_v = stage + kSliceFloats + ColumnOf(0);
  TORII_UNROLL
  for (int k = 0; k < kDepth; ++k) {
    const Floats<4> q[2] = {Load<4>(of_q + k * kTile), Load<4>(of_q + k * kTile + 16)};
    const Floats<4> v[2] = {Load<4>(of_v + k * kTile), Load<4>(of_v + k * kTile + 32)};
    TORII_UNROLL
    for (int r = 0; r < kSide; ++r) {
      TORII_UNROLL
      for (int c = 0; c < kSide; ++c) {
        float& score = scores->at[r][c];
        score = fmaf(q[r / 4].at[r % 4], v[c / 4].at[c % 4], score);
      }
    }
  }
}

struct TileStream {
  const float* q;      // one packed panel of queries
  const float* items;  // all packed panels of items
  int slices;          // of a panel
  int64_t first, end;  // the tiles of items, at least one
};

// Calls visit(tile, scores) for each tile of items. All threads of the block call it, with kStageBytes
// of shared memory.
template <class Visit>
__device__ inline void ForEachTile(const TileStream& stream, float* stages, const Visit& visit) {
  const float *q = stream.q, *v = stream.items + stream.first * stream.slices * kSliceFloats;
  int stage = 0;  // where it begins
  // Fits: slices of that many would take 8 TB.
  auto to_copy = static_cast<int>((stream.end - stream.first) * stream.slices);
  CopyStage(q, v, stages);
  for (int64_t tile = stream.first; tile < stream.end; ++tile) {
    TileScores scores;
    TORII_UNROLL
    for (int i = 0; i < kSide * kSide; ++i) scores.at[i / kSide][i % kSide] = 0;
    for (int left = stream.slices; left > 0; --left) {
      WaitForCopies<0>();
      __syncthreads();  // all of this stage is there, and the other one has been read
      v += kSliceFloats;
      q = left > 1 ? q + kSliceFloats : stream.q;
      if (--to_copy > 0) CopyStage(q, v, stages + (stage ^ kStageFloats));
      MultiplyStage(stages + stage, &scores);
      stage ^= kStageFloats;
    }
    visit(tile, scores);
  }
}

}  // namespace torii::kernels::cuda
