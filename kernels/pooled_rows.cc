#include "kernels/pooled_rows.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

#include "base/check.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

// Parts of joined rows need no copy.
at::Tensor WithAdjacentFloats(const at::Tensor& rows) {
  return rows.stride(1) == 1 ? rows : rows.contiguous();
}

RowTable PointersTo(const at::Tensor& rows) {
  // The stride over one float, or none, may be any.
  const bool is_adjacent = rows.stride(1) == 1 || rows.size(1) == 1 || rows.numel() == 0;
  TORII_CHECK(rows.dim() == 2 && rows.scalar_type() == at::kFloat && is_adjacent,
              "rows: ", rows.toString(), " of ", rows.dim(), " dimensions");
  return {rows.const_data_ptr<float>(), rows.size(1), rows.stride(0)};
}

RowLists PointersTo(const RowListTensors& lists) {
  RowLists pointers{.index = lists.index.const_data_ptr<int64_t>(),
                    .lists = lists.count(),
                    .places = lists.index.numel()};
  if (lists.offsets.defined()) pointers.begin = lists.offsets.const_data_ptr<int64_t>();
  if (lists.weights.defined()) pointers.weight = lists.weights.const_data_ptr<float>();
  if (lists.scales.defined()) pointers.scale = lists.scales.const_data_ptr<float>();
  return pointers;
}

at::Tensor LengthsOf(const at::Tensor& offsets) {
  const int64_t n = offsets.numel() - 1;
  return offsets.slice(0, 1, n + 1) - offsets.slice(0, 0, n);
}

// [places]: the list of each place.
at::Tensor ListOfPlace(const at::Tensor& offsets, int64_t places) {
  return at::repeat_interleave(LengthsOf(offsets), std::optional<int64_t>(places));
}

at::Tensor ComposedPool(const at::Tensor& rows, const RowListTensors& lists) {
  at::Tensor picked = rows.index_select(0, lists.index);
  if (lists.weights.defined()) picked = picked * lists.weights.unsqueeze(1);
  if (lists.offsets.defined()) {
    picked = at::zeros({lists.count(), rows.size(1)}, rows.options())
                 .index_add_(0, ListOfPlace(lists.offsets, lists.index.numel()), picked);
  }
  return lists.scales.defined() ? picked * lists.scales.unsqueeze(1) : picked;
}

at::Tensor ComposedPoolBackward(const at::Tensor& gradient, const RowListTensors& lists,
                                int64_t rows) {
  at::Tensor of_place = gradient;
  if (lists.scales.defined()) of_place = of_place * lists.scales.unsqueeze(1);
  if (lists.offsets.defined()) {
    of_place = of_place.index_select(0, ListOfPlace(lists.offsets, lists.index.numel()));
  }
  if (lists.weights.defined()) of_place = of_place * lists.weights.unsqueeze(1);
  return at::zeros({rows, gradient.size(1)}, gradient.options())
      .index_add_(0, lists.index, of_place);
}

}  // namespace

at::Tensor PoolRows(const Device& device, const at::Tensor& rows, const RowListTensors& lists) {
  CheckOnDevice(device, "PoolRows", rows, lists.index, lists.offsets, lists.weights, lists.scales);
  if (device.kernels().pool_rows == nullptr) return ComposedPool(rows, lists);
  const at::Tensor adjacent = WithAdjacentFloats(rows);
  at::Tensor out = at::empty({lists.count(), rows.size(1)}, rows.options());
  device.kernels().pool_rows(PointersTo(adjacent), PointersTo(lists),
                             out.mutable_data_ptr<float>());
  return out;
}

at::Tensor PoolRowsBackward(const Device& device, const at::Tensor& gradient,
                            const RowListTensors& lists, int64_t rows) {
  CheckOnDevice(device, "PoolRowsBackward", gradient, lists.index, lists.offsets, lists.weights,
                lists.scales);
  if (device.kernels().pool_rows_backward == nullptr) {
    return ComposedPoolBackward(gradient, lists, rows);
  }
  const at::Tensor adjacent = WithAdjacentFloats(gradient);
  at::Tensor out = at::empty({rows, gradient.size(1)}, gradient.options());
  device.kernels().pool_rows_backward(PointersTo(adjacent), PointersTo(lists), rows,
                                      out.mutable_data_ptr<float>());
  return out;
}

bool IsKnownIdentity(const Device& device, const at::Tensor& index, int64_t rows) {
  return index.numel() == rows && device.kernels().is_identity != nullptr &&
         device.kernels().is_identity(index.const_data_ptr<int64_t>(), rows);
}

at::Tensor InverseLengths(const Device& device, const at::Tensor& offsets) {
  CheckOnDevice(device, "InverseLengths", offsets);
  if (device.kernels().inverse_lengths == nullptr) {
    return LengthsOf(offsets).clamp_min_(1).to(at::kFloat).reciprocal_();
  }
  const int64_t n = offsets.numel() - 1;
  at::Tensor scales = at::empty({n}, offsets.options().dtype(at::kFloat));
  device.kernels().inverse_lengths(offsets.const_data_ptr<int64_t>(), n,
                                   scales.mutable_data_ptr<float>());
  return scales;
}

at::Tensor RecencyWeights(const Device& device, const at::Tensor& offsets, int64_t places,
                          double half_life) {
  TORII_CHECK(half_life > 0, "half_life ", half_life);
  CheckOnDevice(device, "RecencyWeights", offsets);
  const double log_ratio = -std::log(2.0) / half_life;
  if (device.kernels().recency_weights == nullptr) {
    const at::Tensor list = ListOfPlace(offsets, places);
    const at::Tensor last = offsets.slice(0, 1).index_select(0, list) - 1;
    const at::Tensor age = last - at::arange(places, offsets.options());
    const at::Tensor totals =
        (LengthsOf(offsets).to(at::kDouble) * log_ratio).expm1_() / std::expm1(log_ratio);
    return ((age.to(at::kDouble) * log_ratio).exp_() / totals.index_select(0, list)).to(at::kFloat);
  }
  at::Tensor weights = at::empty({places}, offsets.options().dtype(at::kFloat));
  device.kernels().recency_weights(offsets.const_data_ptr<int64_t>(), offsets.numel() - 1,
                                   log_ratio, weights.mutable_data_ptr<float>());
  return weights;
}

}  // namespace torii::kernels
