// Ranking items by their scores on a device. A score is the inner product of a query and an item,
// by the kernels of the device, or what a function says, in tiles of LibTorch's operations. Either
// way the score of a pair has the same bits wherever it is computed, so that ranks found by
// comparing scores are exact.
//
// Lists stand on the host; query and item vectors, float32, and all results on the device.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::kernels {

// Scores of q [r, D] against v [n, D] -> [r, n] float32. The score of a pair depends on its two
// vectors alone, bit for bit, whatever r and n are.
using ScoreFunction = std::function<at::Tensor(const at::Tensor& q, const at::Tensor& v)>;

// Item vectors made ready for scoring.
struct RankedItems {
  at::Tensor vectors;    // [n, D] float32, contiguous
  at::Tensor packed;     // the same as the device's kernels want them, or undefined
  ScoreFunction scores;  // empty: inner products, by the kernels
};

// `scores`: empty for inner products.
RankedItems PrepareItems(const Device& device, const at::Tensor& vectors, ScoreFunction scores);

// The items that each query leaves out: items[begin[i]] .. items[begin[i + 1] - 1], ascending.
struct HiddenLists {
  std::span<const int64_t> begin;  // [queries + 1]
  std::span<const int64_t> items;
};

// Thresholds of each query: begin[i] .. begin[i + 1].
struct RowThresholds {
  std::span<const int64_t> begin;       // [queries + 1]
  at::Tensor score;                     // [T] float32
  std::span<const int64_t> tie_before;  // [T]
};

// [pairs] float32: the score of query q_row[p] and item item[p]. Pairs of one query stand together.
at::Tensor ScorePairs(const Device& device, const at::Tensor& q, const RankedItems& items,
                      std::span<const int64_t> q_row, std::span<const int64_t> item);

// [T] int64: for each threshold of a query, how many items j that the query does not hide have a
// score > its score, or an equal one and j < tie_before.
at::Tensor CountAbove(const Device& device, const at::Tensor& q, const RankedItems& items,
                      const RowThresholds& thresholds, const HiddenLists& hidden);

// The k best items of each query, best first, ties by smaller item: [queries, k] each, item -1
// behind the end of a list. k >= 1.
struct BestItems {
  at::Tensor items;   // int64
  at::Tensor scores;  // float32
};
BestItems TopK(const Device& device, const at::Tensor& q, const RankedItems& items,
               const HiddenLists& hidden, int64_t k);

// [rows] float64: the greatest magnitude in each row of x [rows, D] float32; infinity if one of its
// numbers is not finite.
at::Tensor LargestMagnitudes(const Device& device, const at::Tensor& x);

}  // namespace torii::kernels
