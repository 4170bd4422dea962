// Row optimizers in float64, written down from their definitions, one row at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "sharding/sharding.pb.h"

namespace torii::sharding {

class RowReference {
 public:
  RowReference(const TableConfig& config, int64_t dim) : config_(config), dim_(dim) {}

  struct Row {
    std::vector<double> v, first, second;
  };
  // v: start values.
  void SetRow(int64_t key, std::vector<double> v) {
    const auto size = static_cast<size_t>(dim_);
    const double start =
        config_.optimizer() == TableConfig::ADAM ? 0 : config_.initial_accumulator();
    rows_[key] = {std::move(v), std::vector<double>(size, start), std::vector<double>(size, 0)};
  }
  const Row& row(int64_t key) const { return rows_.at(key); }

  // gradients: the sum over all occurrences of each touched row.
  void Step(const std::map<int64_t, std::vector<double>>& gradients, double factor, int64_t step) {
    const double lr = config_.learning_rate() * factor;
    for (const auto& [key, sum] : gradients) {
      Row& row = rows_.at(key);
      std::vector<double> g = sum;
      double mean_square = 0;
      for (size_t d = 0; d < g.size(); ++d) {
        g[d] += config_.l2() * row.v[d];
        mean_square += g[d] * g[d] / static_cast<double>(g.size());
      }
      for (size_t d = 0; d < g.size(); ++d) {
        switch (config_.optimizer()) {
          case TableConfig::SGD:
            row.v[d] -= lr * g[d];
            break;
          case TableConfig::ROWWISE_ADAGRAD:
            row.first[d] += mean_square;
            row.v[d] -= lr * g[d] / (std::sqrt(row.first[d]) + config_.epsilon());
            break;
          case TableConfig::ADAGRAD:
            row.first[d] += g[d] * g[d];
            row.v[d] -= lr * g[d] / (std::sqrt(row.first[d]) + config_.epsilon());
            break;
          case TableConfig::ADAM: {
            const auto t = static_cast<double>(step + 1);
            row.first[d] = config_.beta1() * row.first[d] + (1 - config_.beta1()) * g[d];
            row.second[d] = config_.beta2() * row.second[d] + (1 - config_.beta2()) * g[d] * g[d];
            const double m = row.first[d] / (1 - std::pow(config_.beta1(), t));
            const double s = row.second[d] / (1 - std::pow(config_.beta2(), t));
            row.v[d] -= lr * m / (std::sqrt(s) + config_.epsilon());
            break;
          }
        }
      }
    }
  }

 private:
  const TableConfig config_;
  const int64_t dim_;
  std::map<int64_t, Row> rows_;
};

}  // namespace torii::sharding
