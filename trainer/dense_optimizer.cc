#include "trainer/dense_optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace torii::trainer {

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
  const at::NoGradGuard no_grad;
  at::Tensor weight = parameters_.flat();
  at::Tensor gradient = parameters_.grad();
  const double lr = config_.learning_rate() * learning_rate_factor;
  const bool decoupled = config_.kind() == DenseOptimizerConfig::ADAMW;
  if (config_.weight_decay() != 0) {
    const at::Tensor decayed = weight * parameters_.decay_mask();
    if (decoupled) {
      weight.add_(decayed, -lr * config_.weight_decay());
    } else {
      gradient.add_(decayed, config_.weight_decay());
    }
  }
  switch (config_.kind()) {
    case DenseOptimizerConfig::ADAM:
    case DenseOptimizerConfig::ADAMW: {
      const double b1 = config_.beta1(), b2 = config_.beta2();
      const auto t = static_cast<double>(step + 1);
      first_.mul_(b1).add_(gradient, 1 - b1);
      second_.mul_(b2).addcmul_(gradient, gradient, 1 - b2);
      const double correction1 = 1 - std::pow(b1, t), correction2 = 1 - std::pow(b2, t);
      const at::Tensor scale = second_.sqrt().div_(std::sqrt(correction2)).add_(config_.epsilon());
      weight.addcdiv_(first_, scale, -lr / correction1);
      break;
    }
    case DenseOptimizerConfig::ADAGRAD:
      second_.addcmul_(gradient, gradient, 1);
      weight.addcdiv_(gradient, second_.sqrt().add_(config_.epsilon()), -lr);
      break;
    case DenseOptimizerConfig::SGD:
      if (first_.defined()) {
        first_.mul_(config_.momentum()).add_(gradient);
        gradient = first_;
      }
      weight.add_(gradient, -lr);
      break;
  }
}

std::vector<std::pair<std::string, at::Tensor>> DenseOptimizer::State() {
  std::vector<std::pair<std::string, at::Tensor>> state;
  const std::string kind = DenseOptimizerConfig::Kind_Name(config_.kind());
  if (first_.defined()) state.emplace_back("dense_optimizer." + kind + ".first", first_);
  if (second_.defined()) state.emplace_back("dense_optimizer." + kind + ".second", second_);
  return state;
}

}  // namespace torii::trainer
