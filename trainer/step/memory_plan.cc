#include "trainer/step/memory_plan.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "base/exit_code.h"

namespace torii::trainer {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
// Flat buffers as long as the weights: weights, gradients, the mask of the decay, two of Adam.
constexpr int64_t kDenseBuffers = 5;

double GiB(int64_t bytes) { return static_cast<double>(bytes) / (int64_t{1} << 30); }

}  // namespace

MemoryPlan PlanMemory(std::span<const sharding::TableNeed> needs, int world_size,
                      int64_t dense_weights, const StepSize& step) {
  MemoryPlan plan;
  for (const sharding::PlacedTable& table : sharding::PlanTables(needs, world_size)) {
    plan.tables += table.bytes;
  }
  plan.dense = kDenseBuffers * dense_weights * kFloatBytes;
  // Of each row an id and a history, of the widest table; with gradients.
  int64_t width = step.dim;
  for (const sharding::TableNeed& need : needs) width = std::max(width, need.width);
  const int64_t looked_up = step.rows * (1 + step.history);
  plan.step = 2 * kFloatBytes * (looked_up * width + (step.rows + step.columns) * step.dim);
  return plan;
}

std::string Describe(const MemoryPlan& plan) {
  return absl::StrFormat(
      "tables and optimizer state %.2f GiB, dense weights %.2f GiB, a step about %.2f GiB",
      GiB(plan.tables), GiB(plan.dense), GiB(plan.step));
}

absl::Status CheckFits(const MemoryPlan& plan, const kernels::Device& device) {
  if (!device.free_bytes() || plan.tables + plan.dense <= *device.free_bytes()) {
    return absl::OkStatus();
  }
  return ConfigError(absl::StrFormat(
      "the model does not fit on a rank: %s; %.2f GiB of %s are free. Use more ranks, a smaller "
      "model.dim, or tables.optimizer: ROWWISE_ADAGRAD or SGD, which keep less beside a row",
      Describe(plan), GiB(*device.free_bytes()), device.torch().str()));
}

}  // namespace torii::trainer
