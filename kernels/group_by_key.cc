#include "kernels/group_by_key.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/check.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

KeyGroups ComposedGroups(const at::Tensor& keys) {
  const int64_t n = keys.numel();
  const auto [sorted, order] = at::sort(keys, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  at::Tensor is_first = at::ones({n}, keys.options().dtype(at::kBool));
  if (n > 1) is_first.slice(0, 1, n).copy_(sorted.slice(0, 1, n).ne(sorted.slice(0, 0, n - 1)));
  const at::Tensor group = is_first.cumsum(0).sub_(1);  // of each sorted key
  // Every key writes what the group's first one would; a place behind all groups takes the rest.
  const at::Tensor place = at::where(is_first, group, n);
  KeyGroups out{order, at::zeros({n + 1}, keys.options()), at::full({n + 2}, n, keys.options()),
                is_first.sum(at::kLong).view({1}), at::empty({n}, keys.options())};
  out.distinct.index_put_({place}, sorted);
  out.begin.index_put_({place}, at::arange(n, keys.options()));
  out.begin.slice(0, n, n + 2).fill_(n);
  out.distinct = out.distinct.slice(0, 0, n);
  out.begin = out.begin.slice(0, 0, n + 1);
  out.group_of.index_copy_(0, order, group);
  return out;
}

}  // namespace

KeyGroups GroupByKey(const Device& device, const at::Tensor& keys, int64_t num_keys) {
  const int64_t n = keys.numel();
  CheckOnDevice(device, "GroupByKey", keys);
  TORII_CHECK(keys.is_contiguous() && keys.scalar_type() == at::kLong &&
                  n < std::numeric_limits<int32_t>::max() && num_keys <= int64_t{1} << 32,
              "keys: ", keys.toString(), " of ", n, " elements below ", num_keys);
  if (device.kernels().group_by_key == nullptr) return ComposedGroups(keys);
  KeyGroups out{at::empty({n}, keys.options()), at::empty({n}, keys.options()),
                at::empty({n + 1}, keys.options()), at::empty({1}, keys.options()),
                at::empty({n}, keys.options())};
  device.kernels().group_by_key({.keys = keys.const_data_ptr<int64_t>(),
                                 .count = n,
                                 .num_keys = num_keys,
                                 .order = out.order.mutable_data_ptr<int64_t>(),
                                 .distinct = out.distinct.mutable_data_ptr<int64_t>(),
                                 .begin = out.begin.mutable_data_ptr<int64_t>(),
                                 .groups = out.groups.mutable_data_ptr<int64_t>(),
                                 .group_of = out.group_of.mutable_data_ptr<int64_t>()});
  return out;
}

}  // namespace torii::kernels
