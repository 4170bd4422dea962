#include "kernels/ranking.h"

#include <ATen/ATen.h>

#include <limits>
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
