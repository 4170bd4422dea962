#include "kernels/composed_ranking.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/check.h"
#include "kernels/host_tensors.h"

namespace torii::kernels {
namespace {

// A tile of scores: small enough for functions that make a row of features for each pair.
constexpr int64_t kTileQueries = 32, kTileItems = 1024;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Tile {
  int64_t first_query = 0, end_query = 0;
  int64_t first_item = 0, end_item = 0;
};

// The scores [queries, items] of a tile, -infinity where the query hides the item.
at::Tensor ScoresOf(const at::Tensor& q, const RankedItems& items, const HiddenLists& hidden,
                    const Tile& tile) {
  at::Tensor scores = items.scores(q.slice(0, tile.first_query, tile.end_query),
                                   items.vectors.slice(0, tile.first_item, tile.end_item));
  const int64_t width = tile.end_item - tile.first_item;
  TORII_CHECK(scores.dim() == 2 && scores.size(0) == tile.end_query - tile.first_query &&
                  scores.size(1) == width && scores.scalar_type() == at::kFloat,
              "scores of a tile: ", scores.toString(), " of ", scores.numel(), " elements");
  std::vector<int64_t> places;
  for (int64_t i = tile.first_query; i < tile.end_query; ++i) {
    const auto begin = hidden.items.begin() + hidden.begin[static_cast<size_t>(i)];
    const auto end = hidden.items.begin() + hidden.begin[static_cast<size_t>(i) + 1];
    for (auto item = std::lower_bound(begin, end, tile.first_item);
         item != end && *item < tile.end_item; ++item) {
      places.push_back((i - tile.first_query) * width + *item - tile.first_item);
    }
  }
  if (places.empty()) return scores;
  scores = scores.contiguous();
  scores.view({-1}).index_fill_(0, TensorOf(places).to(scores.device()), -kInfinity);
  return scores;
}

// Calls visit(tile, scores) for the tiles of one block of queries, by ascending items.
template <class Visit>
void ForTilesOf(int64_t first_query, const at::Tensor& q, const RankedItems& items,
                const HiddenLists& hidden, const Visit& visit) {
  Tile tile{.first_query = first_query,
            .end_query = std::min(q.size(0), first_query + kTileQueries)};
  const int64_t n = items.vectors.size(0);
  for (; tile.first_item < n; tile.first_item += kTileItems) {
    tile.end_item = std::min(n, tile.first_item + kTileItems);
    visit(tile, ScoresOf(q, items, hidden, tile));
  }
}

}  // namespace

at::Tensor ComposedInnerProducts(const at::Tensor& q, const at::Tensor& v) {
  at::Tensor sum = at::zeros({q.size(0), v.size(0)}, q.options());
  for (int64_t d = 0; d < q.size(1); ++d) {
    sum.add_(q.slice(1, d, d + 1) * v.slice(1, d, d + 1).t());
  }
  return sum;
}

at::Tensor ComposedScorePairs(const at::Tensor& q, const RankedItems& items,
                              std::span<const int64_t> q_row, std::span<const int64_t> item) {
  at::Tensor scores = at::empty({std::ssize(item)}, q.options());
  for (int64_t first = 0, end = 0; first < std::ssize(item); first = end) {
    const int64_t row = q_row[static_cast<size_t>(first)];
    while (end < std::ssize(item) && q_row[static_cast<size_t>(end)] == row) ++end;
    const at::Tensor of_row =
        TensorOf(item.subspan(static_cast<size_t>(first), static_cast<size_t>(end - first)));
    scores.slice(0, first, end)
        .copy_(items
                   .scores(q.slice(0, row, row + 1),
                           items.vectors.index_select(0, of_row.to(q.device())))
                   .view({-1}));
  }
  return scores;
}

at::Tensor ComposedCountAbove(const at::Tensor& q, const RankedItems& items,
                              const RowThresholds& thresholds, const HiddenLists& hidden) {
  const at::TensorOptions indices = q.options().dtype(at::kLong);
  at::Tensor counts = at::zeros({thresholds.score.numel()}, indices);
  const at::Tensor tie_before = TensorOf(thresholds.tie_before).to(q.device());
  for (int64_t block = 0; block < q.size(0); block += kTileQueries) {
    const int64_t end = std::min(q.size(0), block + kTileQueries);
    std::vector<int64_t> row;  // of the block, of each threshold
    for (int64_t i = block; i < end; ++i) {
      const auto at = static_cast<size_t>(i);
      row.insert(row.end(), static_cast<size_t>(thresholds.begin[at + 1] - thresholds.begin[at]),
                 i - block);
    }
    if (row.empty()) continue;
    const at::Tensor rows = TensorOf(row).to(q.device());
    const int64_t first = thresholds.begin[static_cast<size_t>(block)];
    const int64_t last = thresholds.begin[static_cast<size_t>(end)];
    const at::Tensor limit = thresholds.score.slice(0, first, last).unsqueeze(1);
    const at::Tensor ties = tie_before.slice(0, first, last).unsqueeze(1);
    ForTilesOf(block, q, items, hidden, [&](const Tile& tile, const at::Tensor& scores) {
      const at::Tensor of_threshold = scores.index_select(0, rows);  // [thresholds, items]
      const at::Tensor item = at::arange(tile.first_item, tile.end_item, indices);
      const at::Tensor before =
          (of_threshold > limit).logical_or_((of_threshold == limit).logical_and_(item < ties));
      counts.slice(0, first, last).add_(before.sum(1));
    });
  }
  return counts;
}

BestItems ComposedTopK(const at::Tensor& q, const RankedItems& items, const HiddenLists& hidden,
                       int64_t k) {
  const at::TensorOptions indices = q.options().dtype(at::kLong);
  BestItems best = {at::full({q.size(0), k}, -1, indices), at::zeros({q.size(0), k}, q.options())};
  for (int64_t block = 0; block < q.size(0); block += kTileQueries) {
    const int64_t end = std::min(q.size(0), block + kTileQueries);
    at::Tensor scores = at::full({end - block, k}, -kInfinity, q.options());
    at::Tensor found = at::full({end - block, k}, -1, indices);
    ForTilesOf(block, q, items, hidden, [&](const Tile& tile, const at::Tensor& of_tile) {
      const at::Tensor item = at::arange(tile.first_item, tile.end_item, indices);
      // Those found before are smaller items: a stable sort leaves them in front of their equals.
      const at::Tensor all = at::cat({scores, of_tile}, 1);
      const at::Tensor all_items = at::cat({found, item.expand({end - block, -1})}, 1);
      const auto [sorted, order] = at::sort(all, /*stable=*/true, /*dim=*/1, /*descending=*/true);
      scores = sorted.slice(1, 0, k);
      found = all_items.gather(1, order.slice(1, 0, k));
    });
    const at::Tensor is_there = scores > -kInfinity;
    best.items.slice(0, block, end).copy_(at::where(is_there, found, -1));
    best.scores.slice(0, block, end).copy_(at::where(is_there, scores, 0.0));
  }
  return best;
}

}  // namespace torii::kernels
