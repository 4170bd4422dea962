// The rows of some tables on this rank with their optimizer state: local memory and arithmetic, no
// exchange.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/partition.h"
#include "kernels/table_rows.h"
#include "kernels/update_gate.h"
#include "sharding/row_memory.h"
#include "sharding/sharding.pb.h"

namespace torii::sharding {

// Tables of one width and one optimizer, one behind the other in one piece of memory. Each may have
// its own learning rate and other numbers.
class TableShard {
 public:
  struct Table {
    TableConfig config;
    int64_t slots = 0;
  };
  // Weights are not initialised, optimizer state is. State as wide as the row lies behind it: one
  // place in memory to find for each row.
  TableShard(std::vector<Table> tables, int64_t dim, const kernels::Device& device);

  int64_t slots() const { return first_slot_.back(); }
  int64_t dim() const { return dim_; }
  // normal(0, init_stddev) rows of table number `table`: those that `rank` holds. `name` and `seed`
  // choose the numbers.
  void Initialise(int table, const std::string& name, uint64_t seed, const Partition& partition,
                  int rank);
  // slots: [n] int64 on the device -> [n, dim] copies.
  at::Tensor Gather(const at::Tensor& slots);
  // One step for the rows of `gradients`, whose slots count from `first_slot`.
  void Update(const kernels::RowGradients& gradients, int64_t first_slot,
              const kernels::UpdateTerms& terms);

  struct Part {
    std::string suffix;  // "weight", "adagrad", "adam.m", "adam.v"
    at::Tensor tensor;   // [slots, width]; its rows need not lie one behind the other
  };
  const std::vector<Part>& parts() const { return parts_; }

 private:
  // Neighbouring tables that are updated with the same numbers.
  struct Run {
    TableConfig config;
    int64_t end_slot = 0;
  };
  kernels::Device device_;
  std::vector<Table> tables_;
  std::vector<int64_t> first_slot_;  // [tables + 1]
  std::vector<Run> runs_;
  int64_t dim_;
  std::vector<Part> parts_;  // the weights first
  RowBuffers buffers_;
};

}  // namespace torii::sharding
