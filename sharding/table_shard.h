// This rank's rows of a table group with their optimizer state: local memory and arithmetic, no
// exchange.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/cpu/rows_variant.h"
#include "sharding/row_memory.h"
#include "sharding/sharding.pb.h"
#include "sharding/touched_rows.h"

namespace torii::sharding {

class TableShard {
 public:
  // Weights are not initialised, optimizer state is. State as wide as the row lies behind it: one
  // place in memory to find for each row.
  TableShard(const TableConfig& config, int64_t slots, int64_t dim);

  int64_t slots() const { return slots_; }
  int64_t dim() const { return dim_; }
  // normal(0, init_stddev) rows: row i of a table, i = first_row, first_row + stride, ..., goes to
  // slot first_slot, first_slot + 1, ... `name` and `seed` choose the numbers.
  void Initialise(const std::string& name, uint64_t seed, int64_t rows, int64_t first_row,
                  int64_t stride, int64_t first_slot);
  // [slots.size(), dim] copies.
  at::Tensor Gather(std::span<const int64_t> slots);
  // One step for the rows that were added and grouped.
  void Update(const TouchedRows& touched, double learning_rate_factor, int64_t step);

  struct Part {
    std::string suffix;  // "weight", "adagrad", "adam.m", "adam.v"
    at::Tensor tensor;   // [slots, width]; its rows need not lie one behind the other
  };
  const std::vector<Part>& parts() const { return parts_; }

 private:
  kernels::RowStep StepOf(double learning_rate_factor, int64_t step) const;

  TableConfig config_;
  int64_t slots_, dim_;
  std::vector<Part> parts_;  // the weights first
  RowBuffers buffers_;
};

}  // namespace torii::sharding
