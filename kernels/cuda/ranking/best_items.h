// The best items of each row, exactly, in steps over growing chunks of the items (best_items.cu puts
// them together):
//   1. the tiles of scores of a chunk pass by, and what is above a row's limit is appended to the
//      row's found keys (find_above.cu); there is room for all items of the chunk;
//   2. the k greatest of the row's best and found keys, without hidden items, become its best, and
//      the least of k its next limit (select_best.cu).
// The longer the search, the fewer are found. In the end the best keys of each row are sorted
// (sort_best.cu). Found and best keys stand in any order before that.
#pragma once

#include <cstdint>

#include "kernels/cuda/ranking/score_bits.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cuda {

// A score and an item in one number: the greater number is the better item. 0 is none.
using Key = unsigned long long;

__device__ inline Key KeyOf(float score, int64_t item) {
  const uint32_t bits = BitsOf(score + 0.0F);  // -0 is 0
  const uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return static_cast<Key>(ordered) << 32 | (0xFFFFFFFFU - static_cast<uint32_t>(item));
}
__device__ inline float ScoreOf(Key key) {
  const auto ordered = static_cast<uint32_t>(key >> 32);
  return FloatOf((ordered >> 31) != 0 ? ordered ^ 0x80000000U : ~ordered);
}
__device__ inline int64_t ItemOf(Key key) {
  return static_cast<int64_t>(0xFFFFFFFFU - static_cast<uint32_t>(key));
}

// What a search knows of some rows.
struct BestRows {
  int64_t rows = 0;
  int k = 0;             // not above the number of items
  int64_t stride = 0;    // of best keys: a power of two, at least k
  int64_t capacity = 0;  // of found keys
  Key* best = nullptr;   // [rows, stride]
  Key* next = nullptr;   // [rows, stride]: where the best keys of the next step go
  int* num_best = nullptr;
  Key* found = nullptr;  // [rows, capacity]
  int* num_found = nullptr;
  float* least = nullptr;  // [rows]: the least score that may be among the best
};

// Items of the tiles [first, end) of `items` that may be among the best of their rows. packed_q: the
// panels of the rows.
void FindAbove(const float* packed_q, const ItemVectors& items, int64_t first, int64_t end,
               const BestRows& rows);

// Nothing is known yet.
void BeginBest(const BestRows& rows);
void SelectBest(const BestRows& rows, const HiddenItems& hidden);
void SortBest(const BestRows& rows, const TopKLists& lists);

}  // namespace torii::kernels::cuda
