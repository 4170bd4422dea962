#include "sharding/table_shard.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/parallel_for.h"
#include "base/random.h"
#include "kernels/cpu/rows.h"
#include "kernels/optimizer_step.h"

namespace torii::sharding {
namespace {

// Rows below which a second thread does not pay.
constexpr int64_t kGrain = 128;
// Results of this size leave the second-level cache before anybody reads them.
constexpr int64_t kPastCacheBytes = int64_t{8} << 20;

// What an update of one more distinct row costs, in gradient rows read.
constexpr int64_t kRowCost = 3;

// The first of `pieces` equally costly pieces of the rows to begin at or after `piece`.
int64_t PieceBegin(const kernels::TouchedRowList& touched, int64_t pieces, int64_t piece) {
  const auto cost = [&](int64_t row) {
    return touched.begin[row] - touched.begin[0] + kRowCost * row;
  };
  const int64_t wanted = cost(touched.rows) * piece / pieces;
  int64_t begin = 0, end = touched.rows;
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (cost(middle) < wanted) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
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

bool UpdateAlike(const TableConfig& a, const TableConfig& b) {
  return a.learning_rate() == b.learning_rate() && a.epsilon() == b.epsilon() &&
         a.beta1() == b.beta1() && a.beta2() == b.beta2() && a.weight_decay() == b.weight_decay();
}

}  // namespace

TableShard::TableShard(std::vector<Table> tables, int64_t dim)
    : tables_(std::move(tables)), dim_(dim) {
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
  const at::Tensor rows = AllocateRows(slots(), dim * (1 + std::ssize(beside)));
  parts_.push_back({"weight", rows.narrow(1, 0, dim)});
  for (const std::string& suffix : beside) {
    parts_.push_back({suffix, rows.narrow(1, dim * std::ssize(parts_), dim)});
  }
  if (optimizer == TableConfig::ROWWISE_ADAGRAD) {
    parts_.push_back({"adagrad", AllocateRows(slots(), 1)});
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
  const RandomStream stream(seed, "init:" + name);
  const auto t = static_cast<size_t>(table);
  const auto stddev = static_cast<float>(tables_[t].config.init_stddev());
  const int64_t row_stride = parts_[0].tensor.stride(0);
  float* weights = parts_[0].tensor.data_ptr<float>() + first_slot_[t] * row_stride;
  ParallelFor(0, partition.OwnedRows(rank), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t slot = begin; slot < end; ++slot) {
      const std::span<float> row(weights + slot * row_stride, static_cast<size_t>(dim_));
      stream.NormalRow(static_cast<uint64_t>(partition.Row(rank, slot)), row);
      for (float& x : row) x *= stddev;
    }
  });
}

at::Tensor TableShard::Gather(std::span<const int64_t> slots) {
  const auto count = std::ssize(slots);
  at::Tensor out = buffers_.Take(count, dim_);
  float* rows = out.data_ptr<float>();
  const float* weights = parts_[0].tensor.data_ptr<float>();
  const int64_t stride = parts_[0].tensor.stride(0);
  const bool past_cache = static_cast<int64_t>(out.nbytes()) >= kPastCacheBytes;
  ParallelFor(0, count, kGrain, [&](int64_t begin, int64_t end) {
    kernels::cpu::GatherRows(
        weights, stride,
        slots.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), dim_,
        rows + begin * dim_, past_cache);
  });
  return out;
}

kernels::RowStep TableShard::StepOf(const TableConfig& config, double learning_rate_factor,
                                    int64_t step) const {
  kernels::RowStep row_step{};
  row_step.step = kernels::StepOf({.rule = RuleOf(config.optimizer()),
                                   .learning_rate = config.learning_rate(),
                                   .epsilon = config.epsilon(),
                                   .beta1 = config.beta1(),
                                   .beta2 = config.beta2(),
                                   .decay = 2 * config.weight_decay()},
                                  learning_rate_factor, step, kernels::BiasCorrection::kInMoments);
  row_step.dim = dim_;
  row_step.weights = parts_[0].tensor.data_ptr<float>();
  row_step.stride = parts_[0].tensor.stride(0);
  if (parts_.size() > 1) {
    row_step.state = parts_[1].tensor.data_ptr<float>();
    row_step.state_stride = parts_[1].tensor.stride(0);
  }
  return row_step;
}

kernels::TouchedRowList RowsBetween(const kernels::TouchedRowList& touched, int64_t begin_slot,
                                    int64_t end_slot) {
  const uint32_t* const slots_end = touched.slots + touched.rows;
  const uint32_t* const begin = std::lower_bound(touched.slots, slots_end, begin_slot);
  const uint32_t* const end = std::lower_bound(begin, slots_end, end_slot);
  return {end - begin, begin, touched.begin + (begin - touched.slots), touched.gradients};
}

void TableShard::Update(const kernels::TouchedRowList& touched, double learning_rate_factor,
                        int64_t step) {
  int64_t begin_slot = 0;
  for (const Run& run : runs_) {
    const kernels::TouchedRowList rows =
        runs_.size() == 1 ? touched : RowsBetween(touched, begin_slot, run.end_slot);
    begin_slot = run.end_slot;
    if (rows.rows == 0) continue;
    const kernels::RowStep row_step = StepOf(run.config, learning_rate_factor, step);
    const int64_t gradients = rows.begin[rows.rows] - rows.begin[0];
    const int64_t pieces = std::clamp<int64_t>(gradients / kGrain, 1, at::get_num_threads());
    ParallelFor(0, pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        kernels::cpu::UpdateRows(row_step, rows, PieceBegin(rows, pieces, piece),
                                 PieceBegin(rows, pieces, piece + 1));
      }
    });
  }
}

}  // namespace torii::sharding
