#include "sharding/table_shard.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "kernels/optimizer_step.h"
#include "kernels/random_rows.h"

namespace torii::sharding {
namespace {

bool UpdateAlike(const TableConfig& a, const TableConfig& b) {
  return a.learning_rate() == b.learning_rate() && a.epsilon() == b.epsilon() &&
         a.beta1() == b.beta1() && a.beta2() == b.beta2() && a.l2() == b.l2();
}

kernels::OptimizerRule RuleOf(TableConfig::Optimizer optimizer) {
  switch (optimizer) {
    case TableConfig::SGD:
      return kernels::OptimizerRule::kSgd;
    case TableConfig::ROWWISE_ADAGRAD:
      return kernels::OptimizerRule::kRowwiseAdagrad;
    case TableConfig::ADAGRAD:
      return kernels::OptimizerRule::kAdagrad;
    case TableConfig::ADAM:
      return kernels::OptimizerRule::kAdam;
  }
  return kernels::OptimizerRule::kSgd;
}

kernels::OptimizerSettings SettingsOf(const TableConfig& config) {
  return {.rule = RuleOf(config.optimizer()),
          .learning_rate = config.learning_rate(),
          .epsilon = config.epsilon(),
          .beta1 = config.beta1(),
          .beta2 = config.beta2(),
          .decay = config.l2()};
}

}  // namespace

TableShard::TableShard(std::vector<Table> tables, int64_t dim, const kernels::Device& device)
    : device_(device), tables_(std::move(tables)), dim_(dim), buffers_(device) {
  TORII_CHECK(!tables_.empty(), "a shard without a table");
  const TableConfig::Optimizer optimizer = tables_.front().config.optimizer();
  first_slot_.push_back(0);
  for (const Table& table : tables_) {
    TORII_CHECK(table.config.optimizer() == optimizer, "two optimizers in a shard");
    first_slot_.push_back(first_slot_.back() + table.slots);
    if (runs_.empty() || !UpdateAlike(runs_.back().config, table.config)) {
      runs_.push_back({table.config});
    }
    runs_.back().end_slot = slots();
  }
  std::vector<std::string> beside;  // state of the same width, behind the row
  if (optimizer == TableConfig::ADAGRAD) beside = {"adagrad"};
  if (optimizer == TableConfig::ADAM) beside = {"adam.m", "adam.v"};
  const at::Tensor rows = AllocateRows(slots(), dim * (1 + std::ssize(beside)), device);
  parts_.push_back({"weight", rows.narrow(1, 0, dim)});
  for (const std::string& suffix : beside) {
    parts_.push_back({suffix, rows.narrow(1, dim * std::ssize(parts_), dim)});
  }
  if (optimizer == TableConfig::ROWWISE_ADAGRAD) {
    parts_.push_back({"adagrad", AllocateRows(slots(), 1, device)});
  }
  for (size_t part = 1; part < parts_.size(); ++part) {
    for (size_t t = 0; t < tables_.size(); ++t) {
      const double start =
          optimizer == TableConfig::ADAM ? 0 : tables_[t].config.initial_accumulator();
      parts_[part].tensor.narrow(0, first_slot_[t], tables_[t].slots).fill_(start);
    }
  }
}

void TableShard::Initialise(int table, const std::string& name, uint64_t seed,
                            const Partition& partition, int rank) {
  const int64_t count = partition.OwnedRows(rank);
  if (count == 0) return;
  const auto t = static_cast<size_t>(table);
  // The rows of a rank are equally far apart, whatever the partition.
  const int64_t first = partition.Row(rank, 0);
  const int64_t apart = count > 1 ? partition.Row(rank, 1) - first : 1;
  kernels::FillNormalRows(device_, RandomStream(seed, "init:" + name), first, apart,
                          static_cast<float>(tables_[t].config.init_stddev()),
                          parts_[0].tensor.narrow(0, first_slot_[t], count));
}

at::Tensor TableShard::Gather(const at::Tensor& slots) {
  const at::Tensor out = buffers_.Take(slots.numel(), dim_);
  kernels::GatherRows(device_, parts_[0].tensor, slots, out);
  return out;
}

void TableShard::Update(const kernels::RowGradients& gradients, int64_t first_slot,
                        const kernels::UpdateTerms& terms) {
  kernels::TableRows rows{.weight = parts_[0].tensor, .state = {}};
  for (size_t part = 1; part < parts_.size(); ++part) rows.state.push_back(parts_[part].tensor);
  int64_t begin_slot = first_slot;
  for (const Run& run : runs_) {
    const int64_t end_slot = first_slot + run.end_slot;
    kernels::UpdateRows(device_,
                        kernels::StepOf(SettingsOf(run.config), terms.learning_rate_factor,
                                        terms.step, kernels::BiasCorrection::kInMoments),
                        rows, gradients.Between(begin_slot, end_slot), first_slot, terms.gate);
    begin_slot = end_slot;
  }
}

}  // namespace torii::sharding
