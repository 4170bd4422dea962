// Ranking by tiles of LibTorch's operations: for scores that are no inner products, and where a
// device has no kernels of its own. The functions are those of ranking.h.
#pragma once

#include "kernels/ranking.h"

namespace torii::kernels {

// q [r, D], v [n, D] -> [r, n]: products and sums one dimension after the other, so that no tile
// changes a bit.
at::Tensor ComposedInnerProducts(const at::Tensor& q, const at::Tensor& v);

at::Tensor ComposedScorePairs(const at::Tensor& q, const RankedItems& items,
                              std::span<const int64_t> q_row, std::span<const int64_t> item);
at::Tensor ComposedCountAbove(const at::Tensor& q, const RankedItems& items,
                              const RowThresholds& thresholds, const HiddenLists& hidden);
BestItems ComposedTopK(const at::Tensor& q, const RankedItems& items, const HiddenLists& hidden,
                       int64_t k);

}  // namespace torii::kernels
