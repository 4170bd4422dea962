// The arithmetic of the row optimizers, on raw pointers.
#pragma once

#include <cstdint>
#include <span>

#include "sharding/sharding.pb.h"
#include "sharding/touched_rows.h"

namespace torii::sharding {

// One step of one optimizer over the slots of a shard.
struct RowStep {
  TableConfig::Optimizer optimizer = TableConfig::SGD;
  int64_t dim = 0;
  float* weights = nullptr;  // [slots, dim]
  float* first = nullptr;    // row-wise Adagrad: h [slots]; Adagrad: h, Adam: m [slots, dim]
  float* second = nullptr;   // Adam: v [slots, dim]
  float learning_rate = 0;
  float epsilon = 0;
  float twice_weight_decay = 0;
  float beta1 = 0, beta2 = 0;
  float unbias1 = 1, unbias2 = 1;  // 1 / (1 - beta^t)
};

// Sums the gradients of the distinct rows [begin, end) of `touched` in their order and updates each
// row once. Different ranges may run on different threads.
void UpdateRows(const RowStep& step, const TouchedRows& touched, int64_t begin, int64_t end);

// out[i] = rows[slots[i]], each `dim` floats.
void GatherRows(const float* rows, std::span<const int64_t> slots, int64_t dim, float* out);

}  // namespace torii::sharding
