#include "trainer/dense_optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"

namespace torii::trainer {
namespace {

// Weights below which a second thread does not pay.
constexpr int64_t kGrain = int64_t{1} << 13;

// One pass over all weights: weight decay, then w = rule(i, w, gradient).
struct FlatWeights {
  int64_t size;
  float* weight;
  const float* gradient;
  const float* decays;  // 1 where decay applies
  float coupled = 0;    // decay times w is added to the gradient
  float decoupled = 0;  // decay times w is taken from w

  // Copies, which no store to a weight can change, let the compiler make vectors of the loop.
  template <typename Rule>
  static void UpdateRange(const FlatWeights f, const Rule rule, int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float w = f.weight[i];
      const float g = f.gradient[i] + f.coupled * f.decays[i] * w;
      f.weight[i] = rule(i, w - f.decoupled * f.decays[i] * w, g);
    }
  }
  template <typename Rule>
  void Update(const Rule& rule) const {
    ParallelFor(0, size, kGrain,
                [&](int64_t begin, int64_t end) { UpdateRange(*this, rule, begin, end); });
  }
};

}  // namespace

double ScheduleFactor(const Schedule& schedule, int64_t step, int64_t total_steps) {
  const auto warmup = static_cast<double>(schedule.warmup_steps());
  const auto t = static_cast<double>(step);
  if (t + 1 < warmup) return (t + 1) / warmup;
  const double span = std::max(1.0, static_cast<double>(total_steps) - warmup);
  const double progress = std::clamp((t - warmup) / span, 0.0, 1.0);
  const double floor = schedule.min_factor();
  switch (schedule.kind()) {
    case Schedule::CONSTANT:
      return 1.0;
    case Schedule::LINEAR:
      return floor + (1 - floor) * (1 - progress);
    case Schedule::COSINE:
      return floor + (1 - floor) / 2 * (1 + std::cos(std::numbers::pi * progress));
    case Schedule::INVERSE_SQRT: {
      const double reference = std::max(1.0, warmup);
      return std::max(floor, std::sqrt(reference / std::max(t, reference)));
    }
  }
  return 1.0;
}

DenseOptimizer::DenseOptimizer(const DenseOptimizerConfig& config,
                               model::DenseParameters& parameters)
    : config_(config), parameters_(parameters) {
  const at::Tensor& flat = parameters.flat();
  switch (config.kind()) {
    case DenseOptimizerConfig::ADAM:
    case DenseOptimizerConfig::ADAMW:
      first_ = at::zeros_like(flat);
      second_ = at::zeros_like(flat);
      break;
    case DenseOptimizerConfig::ADAGRAD:
      second_ = at::zeros_like(flat);
      break;
    case DenseOptimizerConfig::SGD:
      if (config.momentum() != 0) first_ = at::zeros_like(flat);
      break;
  }
}

void DenseOptimizer::Step(double learning_rate_factor, int64_t step) {
  const double lr = config_.learning_rate() * learning_rate_factor;
  const bool decoupled = config_.kind() == DenseOptimizerConfig::ADAMW;
  const FlatWeights weights = {
      .size = parameters_.flat().numel(),
      .weight = parameters_.flat().data_ptr<float>(),
      .gradient = parameters_.grad().const_data_ptr<float>(),
      .decays = parameters_.decay_mask().const_data_ptr<float>(),
      .coupled = decoupled ? 0.0F : static_cast<float>(config_.weight_decay()),
      .decoupled = decoupled ? static_cast<float>(lr * config_.weight_decay()) : 0.0F};
  float* const first = first_.defined() ? first_.data_ptr<float>() : nullptr;
  float* const second = second_.defined() ? second_.data_ptr<float>() : nullptr;
  const auto rate = static_cast<float>(lr), epsilon = static_cast<float>(config_.epsilon());
  switch (config_.kind()) {
    case DenseOptimizerConfig::ADAM:
    case DenseOptimizerConfig::ADAMW: {
      const auto t = static_cast<double>(step + 1);
      const auto b1 = static_cast<float>(config_.beta1()), b2 = static_cast<float>(config_.beta2());
      const auto rest1 = static_cast<float>(1 - config_.beta1());
      const auto rest2 = static_cast<float>(1 - config_.beta2());
      const auto scaled_rate = static_cast<float>(lr / (1 - std::pow(config_.beta1(), t)));
      const auto root = static_cast<float>(1 / std::sqrt(1 - std::pow(config_.beta2(), t)));
      weights.Update([=](int64_t i, float w, float g) {
        first[i] = b1 * first[i] + rest1 * g;
        second[i] = b2 * second[i] + rest2 * g * g;
        return w - scaled_rate * first[i] / (std::sqrt(second[i]) * root + epsilon);
      });
      break;
    }
    case DenseOptimizerConfig::ADAGRAD:
      weights.Update([=](int64_t i, float w, float g) {
        second[i] += g * g;
        return w - rate * g / (std::sqrt(second[i]) + epsilon);
      });
      break;
    case DenseOptimizerConfig::SGD: {
      if (first == nullptr) {
        weights.Update([=](int64_t, float w, float g) { return w - rate * g; });
        break;
      }
      const auto momentum = static_cast<float>(config_.momentum());
      weights.Update([=](int64_t i, float w, float g) {
        first[i] = momentum * first[i] + g;
        return w - rate * first[i];
      });
      break;
    }
  }
  parameters_.ClampToBounds();
}

void DenseOptimizer::RegisterState(StateRegistry& registry) {
  const bool adam =
      config_.kind() == DenseOptimizerConfig::ADAM || config_.kind() == DenseOptimizerConfig::ADAMW;
  const auto add = [&](const at::Tensor& state, const char* suffix) {
    if (!state.defined()) return;
    for (const model::ParameterInfo& info : parameters_.info()) {
      registry.Add({.name = absl::StrCat(info.name, ".", suffix),
                    .tensor = state.narrow(0, info.begin, info.size).view(info.shape)});
    }
  };
  add(first_, adam ? "adam.m" : "momentum");
  add(second_, adam ? "adam.v" : "adagrad");
}

std::vector<std::pair<std::string, at::Tensor>> DenseOptimizer::State() {
  std::vector<std::pair<std::string, at::Tensor>> state;
  const std::string kind = DenseOptimizerConfig::Kind_Name(config_.kind());
  if (first_.defined()) state.emplace_back("dense_optimizer." + kind + ".first", first_);
  if (second_.defined()) state.emplace_back("dense_optimizer." + kind + ".second", second_);
  return state;
}

}  // namespace torii::trainer
