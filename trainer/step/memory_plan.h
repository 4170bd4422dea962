// How much memory a rank's part of a model needs on its device: from sizes alone, before any table
// exists.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "kernels/device.h"
#include "sharding/plan.h"

namespace torii::trainer {

// Of a step, on one rank.
struct StepSize {
  int64_t rows = 0;     // B
  int64_t columns = 0;  // of the global batch, not counting other negatives
  int64_t history = 0;  // events of a row at most
  int64_t dim = 0;      // D
};

// In bytes.
struct MemoryPlan {
  int64_t tables = 0;  // with optimizer state, on the rank that holds most
  int64_t dense = 0;   // weights, gradients and optimizer state
  // About what a step adds: vectors and looked-up rows with their gradients. Rows that are looked
  // up several times count as often, layers of the towers do not count.
  int64_t step = 0;
};

MemoryPlan PlanMemory(std::span<const sharding::TableNeed> needs, int world_size,
                      int64_t dense_weights, const StepSize& step);

// "tables and optimizer state 1.25 GiB, dense weights 0.03 GiB, a step about 0.50 GiB".
std::string Describe(const MemoryPlan& plan);

// kConfig if tables and dense weights are larger than what the device had free; an error that says
// by how much, and what helps. OK where a device does not say.
absl::Status CheckFits(const MemoryPlan& plan, const kernels::Device& device);

}  // namespace torii::trainer
