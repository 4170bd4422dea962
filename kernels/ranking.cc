#include "kernels/ranking.h"

#include <ATen/ATen.h>

#include <limits>
#include <utility>

#include "base/check.h"
#include "kernels/composed_ranking.h"
#include "kernels/host_tensors.h"

namespace torii::kernels {
namespace {

void CheckVectors(const at::Tensor& x, const char* what) {
  TORII_CHECK(x.dim() == 2 && x.scalar_type() == at::kFloat && x.is_contiguous(), what, ": ",
              x.toString(), " of ", x.dim(), " dimensions");
}

void CheckQueries(const at::Tensor& q, const RankedItems& items) {
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

}  // namespace

RankedItems PrepareItems(const Device& device, const at::Tensor& vectors, ScoreFunction scores) {
  RankedItems items{
      .vectors = vectors.detach().contiguous(), .packed = {}, .scores = std::move(scores)};
  CheckVectors(items.vectors, "items");
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
  CheckQueries(q, items);
  TORII_CHECK(q_row.size() == item.size(), q_row.size(), " rows and ", item.size(), " items");
  if (items.scores) return ComposedScorePairs(q, items, q_row, item);
  const ListOnDevice rows(q_row, device), of_pair(item, device);
  at::Tensor scores = at::empty({std::ssize(item)}, q.options());
  device.kernels().score_pairs(q.const_data_ptr<float>(), PointersTo(items), rows.data(),
                               of_pair.data(), std::ssize(item), scores.mutable_data_ptr<float>());
  return scores;
}

at::Tensor CountAbove(const Device& device, const at::Tensor& q, const RankedItems& items,
                      const RowThresholds& thresholds, const HiddenLists& hidden) {
  CheckQueries(q, items);
  CheckLists(thresholds.begin, q.size(0), thresholds.tie_before.size());
  CheckLists(hidden.begin, q.size(0), hidden.items.size());
  if (items.scores) return ComposedCountAbove(q, items, thresholds, hidden);
  const ListOnDevice begin(thresholds.begin, device), ties(thresholds.tie_before, device),
      hidden_begin(hidden.begin, device), hidden_items(hidden.items, device);
  at::Tensor counts = at::zeros({thresholds.score.numel()}, q.options().dtype(at::kLong));
  device.kernels().count_above(
      q.const_data_ptr<float>(), q.size(0), PointersTo(items),
      {begin.data(), thresholds.score.const_data_ptr<float>(), ties.data()},
      {hidden_begin.data(), hidden_items.data()}, counts.mutable_data_ptr<int64_t>());
  return counts;
}

BestItems TopK(const Device& device, const at::Tensor& q, const RankedItems& items,
               const HiddenLists& hidden, int64_t k) {
  CheckQueries(q, items);
  CheckLists(hidden.begin, q.size(0), hidden.items.size());
  if (items.scores) return ComposedTopK(q, items, hidden, k);
  const ListOnDevice begin(hidden.begin, device), hidden_items(hidden.items, device);
  BestItems best = {at::full({q.size(0), k}, -1, q.options().dtype(at::kLong)),
                    at::zeros({q.size(0), k}, q.options())};
  at::Tensor length = at::empty({q.size(0)}, q.options().dtype(at::kLong));
  device.kernels().top_k(
      q.const_data_ptr<float>(), q.size(0), PointersTo(items), {begin.data(), hidden_items.data()},
      {k, best.items.mutable_data_ptr<int64_t>(), best.scores.mutable_data_ptr<float>(),
       length.mutable_data_ptr<int64_t>()});
  return best;
}

at::Tensor LargestMagnitudes(const Device& device, const at::Tensor& x) {
  CheckVectors(x, "rows");
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
