// Sums over runs of places, in an order that follows from the run alone. Run i is the places
// begin[i] .. begin[i + 1]; a place names a row of floats and perhaps a weight.
//
// Up to kChunk places are summed one after the other. A longer run is cut into chunks of kChunk
// from its beginning; SumChunks leaves the sums of all chunks but the last, and who finishes the run
// (SumOfRun) adds these sums in order and then the last chunk's. The sum of a chunk that begins at
// place p stands in slot p / kChunk of `partial`: chunks of a run begin kChunk apart, and the last
// one, which has no slot, keeps the chunks before it from meeting the first one of the next run.
#pragma once

#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {

constexpr int64_t kChunk = 64;

// Room for the sums of chunks: [ChunkSlots(places), width] floats.
inline int64_t ChunkSlots(int64_t places) { return (places + kChunk - 1) / kChunk; }

// Rows by pointers, without weights.
struct PointedRows {
  const float* const* rows;

  __device__ const float* Row(int64_t place) const { return rows[place]; }
  __device__ float Weight(int64_t) const { return 1; }
  static constexpr bool kWeighted = false;
};

// Rows of a table by number, with weights; `Index` is an integer.
template <class Index>
struct IndexedRows {
  const float* rows;
  int64_t stride;
  const Index* index;   // of each place
  const float* weight;  // of each place; null: 1

  __device__ const float* Row(int64_t place) const {
    return rows + static_cast<int64_t>(index[place]) * stride;
  }
  __device__ float Weight(int64_t place) const { return weight != nullptr ? weight[place] : 1; }
  static constexpr bool kWeighted = true;
};

// The sum over places [begin, end) of the columns from `column` on, one place after the other;
// zeros if there are none. Four rows are on their way at a time.
template <int kVector, class Rows>
__device__ inline Floats<kVector> SumOfPlaces(const Rows& rows, int64_t begin, int64_t end,
                                              int64_t column) {
  constexpr int kAhead = 4;
  Floats<kVector> sum{};
  for (int64_t first = begin; first < end; first += kAhead) {
    Floats<kVector> values[kAhead];
    TORII_UNROLL
    for (int a = 0; a < kAhead; ++a) {
      if (first + a < end) values[a] = Load<kVector>(rows.Row(first + a) + column);
    }
    TORII_UNROLL
    for (int a = 0; a < kAhead; ++a) {
      if (first + a >= end) break;
      const float weight = rows.Weight(first + a);
      TORII_UNROLL
      for (int k = 0; k < kVector; ++k) {
        const float x = Rows::kWeighted ? weight * values[a].at[k] : values[a].at[k];
        sum.at[k] = first + a == begin ? x : sum.at[k] + x;
      }
    }
  }
  return sum;
}

// The same for a run whose chunks SumChunks has summed.
template <int kVector, class Rows>
__device__ inline Floats<kVector> SumOfRun(const Rows& rows, int64_t begin, int64_t end,
                                           int64_t column, const float* partial, int64_t width) {
  if (end - begin <= kChunk) return SumOfPlaces<kVector>(rows, begin, end, column);
  const int64_t chunks = (end - begin - 1) / kChunk;  // with a slot
  const IndexedRows<int64_t> sums{partial + begin / kChunk * width, width, nullptr, nullptr};
  Floats<kVector> sum{};
  constexpr int kAhead = 8;
  for (int64_t first = 0; first < chunks; first += kAhead) {
    Floats<kVector> values[kAhead];
    TORII_UNROLL
    for (int a = 0; a < kAhead; ++a) {
      if (first + a < chunks) values[a] = Load<kVector>(sums.rows + (first + a) * width + column);
    }
    TORII_UNROLL
    for (int a = 0; a < kAhead; ++a) {
      if (first + a >= chunks) break;
      TORII_UNROLL
      for (int k = 0; k < kVector; ++k) sum.at[k] += values[a].at[k];
    }
  }
  const Floats<kVector> last = SumOfPlaces<kVector>(rows, begin + chunks * kChunk, end, column);
  TORII_UNROLL
  for (int k = 0; k < kVector; ++k) sum.at[k] += last.at[k];
  return sum;
}

// The place where the chunk of a slot begins; -1: the slot has none. A chunk with a slot is not the
// last of its run, so it holds the last place of its slot, which tells the run.
template <class Index>
__device__ inline int64_t ChunkOfSlot(const Index* begin, int64_t runs, int64_t slot) {
  const int64_t place = slot * kChunk + kChunk - 1;
  if (place < static_cast<int64_t>(begin[0]) || place >= static_cast<int64_t>(begin[runs])) {
    return -1;
  }
  int64_t low = 0, high = runs;  // begin[low] <= place < begin[high]
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    if (static_cast<int64_t>(begin[middle]) <= place) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const auto first = static_cast<int64_t>(begin[low]);
  const int64_t before = place - first;  // places of the run up to this one
  const int64_t chunk = before / kChunk * kChunk + first;
  return chunk + kChunk < static_cast<int64_t>(begin[high]) ? chunk : -1;
}

template <int kVector, class Rows, class Index>
__global__ void SumChunksKernel(const Rows rows, const Index* begin, int64_t runs, int64_t slots,
                                int64_t width, float* partial) {
  for (int64_t slot = GlobalWarp(); slot < slots; slot += GridWarps()) {
    const int64_t place = ChunkOfSlot(begin, runs, slot);
    if (place < 0) continue;
    for (int64_t d = LaneOf() * kVector; d < width; d += kWarpLanes * kVector) {
      Store(partial + slot * width + d, SumOfPlaces<kVector>(rows, place, place + kChunk, d));
    }
  }
}

// places: not fewer than begin[runs]. partial: [ChunkSlots(places), width].
template <int kVector, class Rows, class Index>
void SumChunks(const Rows& rows, const Index* begin, int64_t runs, int64_t places, int64_t width,
               float* partial) {
  constexpr int kThreads = 128;
  const int64_t slots = ChunkSlots(places);
  if (runs == 0 || places <= kChunk) return;
  Launch(SumChunksKernel<kVector, Rows, Index>,
         {.blocks = BlocksFor(slots * kWarpLanes, kThreads), .threads = kThreads}, rows, begin,
         runs, slots, width, partial);
}

}  // namespace torii::kernels::cuda
