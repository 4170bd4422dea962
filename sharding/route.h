// The way of looked-up rows from their owners to the rank that asks.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/host_tensors.h"

namespace torii::sharding {

// The rows that a lookup takes from one shard of a group.
struct ShardRows {
  int shard = 0;
  at::Tensor slots;   // [n] int64 of the shard
  at::Tensor places;  // [n] int64: which of the served rows they are
};

// The plan of a lookup: where its distinct rows come from, and the way back for their gradients.
// Tensors are on the device.
struct Route {
  at::Tensor index;                      // [keys] int64: the fetched row of each key
  bool one_row_each = false;             // index is 0, 1, 2, ...
  std::vector<int64_t> send_rows;        // [W] distinct keys asked of each owner
  std::vector<int64_t> recv_rows;        // [W] keys each rank asked of me
  kernels::PlannedList<int64_t> served;  // slots of the keys asked of me, in rank order
  std::vector<ShardRows> shards;         // of `served`, in a group of several shards
  bool is_local = false;                 // every row lies here: nothing is exchanged to fetch
};

}  // namespace torii::sharding
