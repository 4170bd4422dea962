#include "kernels/ranking.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "kernels/composed_ranking.h"
#include "kernels/host_tensors.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

void CheckVectors(const at::Tensor& x, const char* what) {
  TORII_CHECK(x.dim() == 2 && x.scalar_type() == at::kFloat && x.is_contiguous(), what, ": ",
              x.toString(), " of ", x.dim(), " dimensions");
}

void CheckQueries(const Device& device, const at::Tensor& q, const RankedItems& items) {
  CheckOnDevice(device, "scores", q, items.vectors, items.packed);
  CheckVectors(q, "queries");
  TORII_CHECK(q.size(1) == items.vectors.size(1), "queries have ", q.size(1), " dimensions, items ",
              items.vectors.size(1));
}

void CheckLists(std::span<const int64_t> begin, int64_t rows, size_t places) {
  TORII_CHECK(std::ssize(begin) == rows + 1 && begin.back() <= static_cast<int64_t>(places),
              "lists of ", std::ssize(begin) - 1, " rows for ", rows);
}

ItemVectors PointersTo(const RankedItems& items) {
  return {items.vectors.const_data_ptr<float>(), items.packed.const_data_ptr<float>(),
          items.vectors.size(0), items.vectors.size(1)};
}

// Hidden items where the kernels of a device read them.
class HiddenTensors {
 public:
  HiddenTensors(const Device& device, const HiddenLists& lists)
      : begin_(ReadableOn(device, lists.begin)), items_(ReadableOn(device, lists.items)) {}
  HiddenItems pointers() const {
    return {begin_.const_data_ptr<int64_t>(), items_.const_data_ptr<int64_t>()};
  }

 private:
  const at::Tensor begin_, items_;
};

// The best of some queries by the keys that the device makes of scores and items, tile by tile.
struct KeyedQueries {
  at::Tensor q;  // [r, D]
  HiddenItems hidden;
};

at::Tensor BestKeys(const Device& device, const KeyedQueries& queries, const ItemVectors& items,
                    int64_t k) {
  constexpr int64_t kTileItems = int64_t{1} << 14;
  const int64_t rows = queries.q.size(0);
  const at::TensorOptions numbers = queries.q.options().dtype(at::kLong);
  at::Tensor best = at::empty({rows, 0}, numbers);
  for (int64_t first = 0; first < items.n; first += kTileItems) {
    const ItemTile tile{first, std::min(kTileItems, items.n - first)};
    const at::Tensor keys = at::empty({rows, tile.size}, numbers);
    device.kernels().score_keys(queries.q.const_data_ptr<float>(), rows, items, tile,
                                queries.hidden, keys.mutable_data_ptr<int64_t>());
    const at::Tensor all = at::cat({best, keys}, 1);
    best = std::get<0>(at::topk(all, std::min(k, all.size(1)), 1, /*largest=*/true,
                                /*sorted=*/true));
  }
  return best;
}

// What score_keys put together, taken apart.
BestItems ItemsOfKeys(const at::Tensor& keys) {
  constexpr int64_t kLowHalf = 0xFFFFFFFF, kMagnitude = 0x7FFFFFFF;
  const at::Tensor is_there = keys != std::numeric_limits<int64_t>::min();
  const at::Tensor ordered = keys.bitwise_right_shift(32);
  const at::Tensor bits = at::where(ordered < 0, ordered.bitwise_xor(kMagnitude), ordered);
  const at::Tensor items = keys.bitwise_and(kLowHalf).neg().add_(kLowHalf);
  return {at::where(is_there, items, -1),
          at::where(is_there, bits.to(at::kInt).view(at::kFloat), 0.0)};
}

BestItems TopKByKeys(const Device& device, const at::Tensor& q, const ItemVectors& items,
                     const HiddenItems& hidden, int64_t k) {
  constexpr int64_t kBlockQueries = 256;
  BestItems best = {at::full({q.size(0), k}, -1, q.options().dtype(at::kLong)),
                    at::zeros({q.size(0), k}, q.options())};
  for (int64_t first = 0; first < q.size(0); first += kBlockQueries) {
    const int64_t end = std::min(q.size(0), first + kBlockQueries);
    const BestItems found = ItemsOfKeys(
        BestKeys(device, {q.slice(0, first, end), {hidden.begin + first, hidden.items}}, items, k));
    best.items.slice(0, first, end).slice(1, 0, found.items.size(1)).copy_(found.items);
    best.scores.slice(0, first, end).slice(1, 0, found.items.size(1)).copy_(found.scores);
  }
  return best;
}

}  // namespace

RankedItems PrepareItems(const Device& device, const at::Tensor& vectors, ScoreFunction scores) {
  RankedItems items{
      .vectors = vectors.detach().contiguous(), .packed = {}, .scores = std::move(scores)};
  CheckVectors(items.vectors, "items");
  CheckOnDevice(device, "PrepareItems", vectors);
  const DeviceKernels& kernels = device.kernels();
  if (items.scores) return items;
  if (kernels.pack_items == nullptr) {
    items.scores = ComposedInnerProducts;
    return items;
  }
  const int64_t n = items.vectors.size(0), dim = items.vectors.size(1);
  items.packed = at::empty({kernels.packed_floats(n, dim)}, items.vectors.options());
  kernels.pack_items(items.vectors.const_data_ptr<float>(), n, dim,
                     items.packed.mutable_data_ptr<float>());
  return items;
}

at::Tensor ScorePairs(const Device& device, const at::Tensor& q, const RankedItems& items,
                      std::span<const int64_t> q_row, std::span<const int64_t> item) {
  CheckQueries(device, q, items);
  TORII_CHECK(q_row.size() == item.size(), q_row.size(), " rows and ", item.size(), " items");
  if (items.scores) return ComposedScorePairs(q, items, q_row, item);
  const at::Tensor rows = ReadableOn(device, q_row), of_pair = ReadableOn(device, item);
  at::Tensor scores = at::empty({std::ssize(item)}, q.options());
  device.kernels().score_pairs(q.const_data_ptr<float>(), PointersTo(items),
                               rows.const_data_ptr<int64_t>(), of_pair.const_data_ptr<int64_t>(),
                               std::ssize(item), scores.mutable_data_ptr<float>());
  return scores;
}

at::Tensor CountAbove(const Device& device, const at::Tensor& q, const RankedItems& items,
                      const RowThresholds& thresholds, const HiddenLists& hidden) {
  CheckQueries(device, q, items);
  CheckOnDevice(device, "CountAbove", thresholds.score);
  CheckLists(thresholds.begin, q.size(0), thresholds.tie_before.size());
  CheckLists(hidden.begin, q.size(0), hidden.items.size());
  if (items.scores) return ComposedCountAbove(q, items, thresholds, hidden);
  const at::Tensor begin = ReadableOn(device, thresholds.begin),
                   ties = ReadableOn(device, thresholds.tie_before);
  const HiddenTensors hidden_there(device, hidden);
  at::Tensor counts = at::zeros({thresholds.score.numel()}, q.options().dtype(at::kLong));
  device.kernels().count_above(
      q.const_data_ptr<float>(), q.size(0), PointersTo(items),
      {begin.const_data_ptr<int64_t>(), thresholds.score.const_data_ptr<float>(),
       ties.const_data_ptr<int64_t>()},
      hidden_there.pointers(), counts.mutable_data_ptr<int64_t>());
  return counts;
}

BestItems TopK(const Device& device, const at::Tensor& q, const RankedItems& items,
               const HiddenLists& hidden, int64_t k) {
  CheckQueries(device, q, items);
  CheckLists(hidden.begin, q.size(0), hidden.items.size());
  if (items.scores) return ComposedTopK(q, items, hidden, k);
  const HiddenTensors hidden_there(device, hidden);
  if (device.kernels().top_k == nullptr) {
    return TopKByKeys(device, q, PointersTo(items), hidden_there.pointers(), k);
  }
  BestItems best = {at::full({q.size(0), k}, -1, q.options().dtype(at::kLong)),
                    at::zeros({q.size(0), k}, q.options())};
  at::Tensor length = at::empty({q.size(0)}, q.options().dtype(at::kLong));
  device.kernels().top_k(
      q.const_data_ptr<float>(), q.size(0), PointersTo(items), hidden_there.pointers(),
      {k, best.items.mutable_data_ptr<int64_t>(), best.scores.mutable_data_ptr<float>(),
       length.mutable_data_ptr<int64_t>()});
  return best;
}

at::Tensor LargestMagnitudes(const Device& device, const at::Tensor& x) {
  CheckVectors(x, "rows");
  CheckOnDevice(device, "LargestMagnitudes", x);
  if (device.kernels().largest_magnitudes != nullptr) {
    at::Tensor largest = at::empty({x.size(0)}, x.options().dtype(at::kDouble));
    device.kernels().largest_magnitudes(x.const_data_ptr<float>(), x.size(0), x.size(1),
                                        largest.mutable_data_ptr<double>());
    return largest;
  }
  if (x.size(1) == 0) return at::zeros({x.size(0)}, x.options().dtype(at::kDouble));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const at::Tensor magnitude = at::nan_to_num(x.abs().to(at::kDouble), kInfinity, kInfinity);
  return magnitude.amax(1);
}

}  // namespace torii::kernels
