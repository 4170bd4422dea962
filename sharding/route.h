// The way of looked-up rows from their owners to the rank that asks.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"

namespace torii::sharding {

// The plan of a lookup: where its distinct rows come from, and the way back for their gradients.
struct Route {
  at::Tensor index;                // [keys] int64: the fetched row of each key
  std::vector<int64_t> send_rows;  // [W] distinct keys asked of each owner
  std::vector<int64_t> recv_rows;  // [W] keys each rank asked of me
  std::vector<int64_t> served;     // local slots of the keys asked of me, in rank order
  bool is_local = false;           // every row lies here: nothing is exchanged to fetch
};

}  // namespace torii::sharding
