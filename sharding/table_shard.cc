#include "sharding/table_shard.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "base/random.h"
#include "base/split_evenly.h"
#include "sharding/row_update.h"

namespace torii::sharding {
namespace {

// Rows below which a second thread does not pay.
constexpr int64_t kGrain = 2048;

}  // namespace

TableShard::TableShard(const TableConfig& config, int64_t slots, int64_t dim)
    : config_(config), slots_(slots), dim_(dim) {
  const auto add = [&](const char* suffix, int64_t width, double value) {
    parts_.push_back({suffix, AllocateRows(slots, width)});
    parts_.back().tensor.fill_(value);
  };
  parts_.push_back({"weight", AllocateRows(slots, dim)});
  switch (config.optimizer()) {
    case TableConfig::ROWWISE_ADAGRAD:
      add("adagrad", 1, config.initial_accumulator());
      break;
    case TableConfig::ADAGRAD:
      add("adagrad", dim, config.initial_accumulator());
      break;
    case TableConfig::ADAM:
      add("adam.m", dim, 0);
      add("adam.v", dim, 0);
      break;
    case TableConfig::SGD:
      break;
  }
}

void TableShard::Initialise(const std::string& name, uint64_t seed, int64_t rows, int64_t first_row,
                            int64_t stride, int64_t first_slot) {
  const RandomStream stream(seed, "init:" + name);
  const auto stddev = static_cast<float>(config_.init_stddev());
  float* weights = parts_[0].tensor.data_ptr<float>() + first_slot * dim_;
  const int64_t count = first_row < rows ? (rows - first_row + stride - 1) / stride : 0;
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::span<float> row(weights + i * dim_, static_cast<size_t>(dim_));
      stream.NormalRow(static_cast<uint64_t>(first_row + i * stride), row);
      for (float& x : row) x *= stddev;
    }
  });
}

at::Tensor TableShard::Gather(std::span<const int64_t> slots) {
  const auto count = static_cast<int64_t>(slots.size());
  at::Tensor out = buffers_.Take(count, dim_);
  float* rows = out.data_ptr<float>();
  const float* weights = parts_[0].tensor.data_ptr<float>();
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    GatherRows(weights, slots.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
               dim_, rows + begin * dim_);
  });
  return out;
}

void TableShard::Update(const TouchedRows& touched, double learning_rate_factor, int64_t step) {
  RowStep row_step;
  row_step.optimizer = config_.optimizer();
  row_step.dim = dim_;
  row_step.weights = parts_[0].tensor.data_ptr<float>();
  if (parts_.size() > 1) row_step.first = parts_[1].tensor.data_ptr<float>();
  if (parts_.size() > 2) row_step.second = parts_[2].tensor.data_ptr<float>();
  row_step.learning_rate = static_cast<float>(config_.learning_rate() * learning_rate_factor);
  row_step.epsilon = static_cast<float>(config_.epsilon());
  row_step.twice_weight_decay = static_cast<float>(2 * config_.weight_decay());
  row_step.beta1 = static_cast<float>(config_.beta1());
  row_step.beta2 = static_cast<float>(config_.beta2());
  const auto t = static_cast<double>(step + 1);
  row_step.unbias1 = static_cast<float>(1 / (1 - std::pow(config_.beta1(), t)));
  row_step.unbias2 = static_cast<float>(1 / (1 - std::pow(config_.beta2(), t)));
  at::parallel_for(0, touched.distinct(), kGrain,
                   [&](int64_t begin, int64_t end) { UpdateRows(row_step, touched, begin, end); });
}

}  // namespace torii::sharding
