#include "sharding/table_shard.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

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
  const auto cost = [&](int64_t row) { return touched.begin[row] + kRowCost * row; };
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

}  // namespace

TableShard::TableShard(const TableConfig& config, int64_t slots, int64_t dim)
    : config_(config), slots_(slots), dim_(dim) {
  std::vector<std::string> beside;  // state as wide as the row
  if (config.optimizer() == TableConfig::ADAGRAD) beside = {"adagrad"};
  if (config.optimizer() == TableConfig::ADAM) beside = {"adam.m", "adam.v"};
  const at::Tensor rows = AllocateRows(slots, dim * (1 + std::ssize(beside)));
  parts_.push_back({"weight", rows.narrow(1, 0, dim)});
  for (const std::string& suffix : beside) {
    parts_.push_back({suffix, rows.narrow(1, dim * std::ssize(parts_), dim)});
  }
  if (config.optimizer() == TableConfig::ROWWISE_ADAGRAD) {
    parts_.push_back({"adagrad", AllocateRows(slots, 1)});
  }
  const double start = config.optimizer() == TableConfig::ADAM ? 0 : config.initial_accumulator();
  for (size_t part = 1; part < parts_.size(); ++part) parts_[part].tensor.fill_(start);
}

void TableShard::Initialise(const std::string& name, uint64_t seed, int64_t rows, int64_t first_row,
                            int64_t stride, int64_t first_slot) {
  const RandomStream stream(seed, "init:" + name);
  const auto stddev = static_cast<float>(config_.init_stddev());
  const int64_t row_stride = parts_[0].tensor.stride(0);
  float* weights = parts_[0].tensor.data_ptr<float>() + first_slot * row_stride;
  const int64_t count = first_row < rows ? (rows - first_row + stride - 1) / stride : 0;
  ParallelFor(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::span<float> row(weights + i * row_stride, static_cast<size_t>(dim_));
      stream.NormalRow(static_cast<uint64_t>(first_row + i * stride), row);
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

kernels::RowStep TableShard::StepOf(double learning_rate_factor, int64_t step) const {
  kernels::RowStep row_step{};
  row_step.step = kernels::StepOf({.rule = RuleOf(config_.optimizer()),
                                   .learning_rate = config_.learning_rate(),
                                   .epsilon = config_.epsilon(),
                                   .beta1 = config_.beta1(),
                                   .beta2 = config_.beta2(),
                                   .decay = 2 * config_.weight_decay()},
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

void TableShard::Update(const TouchedRows& touched, double learning_rate_factor, int64_t step) {
  const kernels::RowStep row_step = StepOf(learning_rate_factor, step);
  const kernels::TouchedRowList rows = touched.list();
  const int64_t threads = at::get_num_threads();
  const int64_t pieces = std::clamp<int64_t>(rows.begin[rows.rows] / kGrain, 1, threads);
  ParallelFor(0, pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      kernels::cpu::UpdateRows(row_step, rows, PieceBegin(rows, pieces, piece),
                               PieceBegin(rows, pieces, piece + 1));
    }
  });
}

}  // namespace torii::sharding
