// Positions grouped by their keys, on a device.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::kernels {

// Groups in ascending order of their keys, each with its positions in ascending order. All int64 on
// the device. How many groups there are is known there alone until somebody reads `groups`: of
// `distinct` and `begin` so many elements, and one more, hold something.
struct KeyGroups {
  at::Tensor order;     // [n]: positions, group after group
  at::Tensor distinct;  // [n]: the key of each group
  at::Tensor begin;     // [n + 1]: where each group begins in order, and n behind the last
  at::Tensor groups;    // [1]
  at::Tensor group_of;  // [n]: the group of each position
};

// keys [n] int64 in [0, num_keys), n < 2^31, num_keys <= 2^32.
KeyGroups GroupByKey(const Device& device, const at::Tensor& keys, int64_t num_keys);

}  // namespace torii::kernels
