#include "kernels/table_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"
#include "kernels/composed_optimizer.h"
#include "kernels/host_tensors.h"
#include "kernels/on_device.h"
#include "kernels/update_gate.h"

namespace torii::kernels {
namespace {

void CheckRows(const at::Tensor& rows) {
  TORII_CHECK(rows.dim() == 2 && rows.scalar_type() == at::kFloat &&
                  (rows.stride(1) == 1 || rows.size(1) == 1),
              "rows: ", rows.toString(), " of ", rows.dim(), " dimensions");
}

RowStep PointersTo(const OptimizerStep& step, const TableRows& table, int64_t first_slot) {
  CheckRows(table.weight);
  RowStep row_step{.step = step,
                   .dim = table.weight.size(1),
                   .stride = table.weight.stride(0),
                   .first_slot = first_slot,
                   .weights = table.weight.mutable_data_ptr<float>(),
                   .state = nullptr,
                   .state_stride = 0};
  if (table.state.empty()) return row_step;
  CheckRows(table.state[0]);
  row_step.state = table.state[0].mutable_data_ptr<float>();
  row_step.state_stride = table.state[0].stride(0);
  TORII_CHECK(table.state.size() == 1 ||
                  table.state[1].const_data_ptr<float>() == row_step.state + row_step.dim,
              "Adam's second moments do not lie behind the first");
  return row_step;
}

void ComposedUpdate(const Device& device, const OptimizerStep& step, const TableRows& table,
                    const RowGradients& gradients, int64_t first_slot, const at::Tensor& gate) {
  std::vector<int64_t> list(gradients.slots, gradients.slots + gradients.list.rows);
  for (int64_t& slot : list) slot -= first_slot;
  const at::Tensor slots = TensorOf(list, device);
  at::Tensor weight = table.weight.index_select(0, slots);
  const at::Tensor sums = gradients.sums + weight * static_cast<double>(step.l2);
  std::vector<at::Tensor> state;
  for (const at::Tensor& part : table.state) state.push_back(part.index_select(0, slots));
  const auto put_back = [&](at::Tensor to, const at::Tensor& now) {
    to.index_copy_(0, slots, gate.defined() ? Gated(gate, now, to.index_select(0, slots)) : now);
  };
  // Adagrad has its one part where Adam has its second.
  const bool is_second = step.rule == OptimizerRule::kAdagrad;
  at::Tensor none;
  at::Tensor& first = state.empty() || is_second ? none : state[0];
  at::Tensor& second = is_second ? state[0] : state.size() > 1 ? state[1] : none;
  ComposedRule(step, sums, weight, first, second);
  put_back(table.weight, weight);
  for (size_t part = 0; part < state.size(); ++part) put_back(table.state[part], state[part]);
}

}  // namespace

void GatherRows(const Device& device, const at::Tensor& table, const at::Tensor& slots,
                at::Tensor out) {
  CheckRows(table);
  CheckOnDevice(device, "GatherRows", table, slots, out);
  TORII_CHECK(out.is_contiguous() && out.size(0) == slots.numel() && out.size(1) == table.size(1),
              "room for ", out.numel(), " floats of ", slots.numel(), " rows");
  if (device.kernels().gather_rows == nullptr) {
    at::index_select_out(out, table, 0, slots);
    return;
  }
  device.kernels().gather_rows({.rows = table.const_data_ptr<float>(),
                                .stride = table.stride(0),
                                .dim = table.size(1),
                                .slots = slots.const_data_ptr<int64_t>(),
                                .count = slots.numel(),
                                .out = out.mutable_data_ptr<float>()});
}

RowGradients RowGradients::Between(int64_t begin_slot, int64_t end_slot) const {
  const uint32_t* const slots_end = slots + list.rows;
  const uint32_t* const begin = std::lower_bound(slots, slots_end, begin_slot);
  const uint32_t* const end = std::lower_bound(begin, slots_end, end_slot);
  const int64_t first = begin - slots;
  TouchedRowList part = list;
  part.rows = end - begin;
  part.slots += first;
  part.begin += first;
  return {part, begin, sums.defined() ? sums.narrow(0, first, end - begin) : at::Tensor()};
}

void UpdateRows(const Device& device, const OptimizerStep& step, const TableRows& table,
                const RowGradients& gradients, int64_t first_slot, const at::Tensor& gate) {
  if (gradients.list.rows == 0) return;
  CheckOnDevice(device, "UpdateRows", table.weight, gate);
  for (const at::Tensor& state : table.state) CheckOnDevice(device, "UpdateRows", state);
  if (device.kernels().update_rows == nullptr) {
    return ComposedUpdate(device, step, table, gradients, first_slot, gate);
  }
  RowStep row_step = PointersTo(step, table, first_slot);
  row_step.gate = FlagOf(gate);
  device.kernels().update_rows(row_step, gradients.list);
}

}  // namespace torii::kernels
