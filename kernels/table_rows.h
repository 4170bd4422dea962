// Rows of embedding tables on a device: made, gathered, and updated from the gradients of a step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"
#include "kernels/optimizer_step.h"

namespace torii::kernels {

// out [n, dim] = the rows of slots [n] int64 of a table [S, dim] float32, whose rows need not lie
// one behind the other.
void GatherRows(const Device& device, const at::Tensor& table, const at::Tensor& slots,
                at::Tensor out);

// The distinct rows that a step touches, in increasing order of their slots, with their gradients
// (TouchedRows::GradientsOf). A view: valid as long as what it was made from.
struct RowGradients {
  TouchedRowList list;    // in the memory of the device; `gradients` where it has kernels
  const uint32_t* slots;  // [rows]: those of the list, on the host
  at::Tensor sums;        // [rows, dim], where the device has no kernels

  // Those whose slots are in [begin_slot, end_slot).
  RowGradients Between(int64_t begin_slot, int64_t end_slot) const;
};

// A table with the state of its rule: none; row-wise Adagrad: h [S, 1]; momentum: m [S, dim];
// Adagrad: h [S, dim]; Adam: m and v [S, dim], whose rows lie one behind the other (m, then v).
struct TableRows {
  at::Tensor weight;  // [S, dim] float32
  std::vector<at::Tensor> state;
};

// Updates each touched row once. first_slot: the slot of the table's row 0 among those of the
// gradients. gate: update_gate.h.
void UpdateRows(const Device& device, const OptimizerStep& step, const TableRows& table,
                const RowGradients& gradients, int64_t first_slot, const at::Tensor& gate = {});

}  // namespace torii::kernels
