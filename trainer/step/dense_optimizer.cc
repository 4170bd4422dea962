#include "trainer/step/dense_optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "kernels/dense_weights.h"

namespace torii::trainer {
namespace {

kernels::OptimizerSettings SettingsOf(const DenseOptimizerConfig& config) {
  kernels::OptimizerSettings settings{.learning_rate = config.learning_rate(),
                                      .epsilon = config.epsilon(),
                                      .beta1 = config.beta1(),
                                      .beta2 = config.beta2(),
                                      .momentum = config.momentum(),
                                      .decay = config.weight_decay(),
                                      .decoupled = config.kind() == DenseOptimizerConfig::ADAMW};
  switch (config.kind()) {
    case DenseOptimizerConfig::ADAM:
    case DenseOptimizerConfig::ADAMW:
      settings.rule = kernels::OptimizerRule::kAdam;
      break;
    case DenseOptimizerConfig::ADAGRAD:
      settings.rule = kernels::OptimizerRule::kAdagrad;
      break;
    case DenseOptimizerConfig::SGD:
      settings.rule =
          config.momentum() != 0 ? kernels::OptimizerRule::kMomentum : kernels::OptimizerRule::kSgd;
      break;
  }
  return settings;
}

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

void DenseOptimizer::Step(const kernels::UpdateTerms& terms) {
  kernels::UpdateWeights(parameters_.device(),
                         kernels::StepOf(SettingsOf(config_), terms.learning_rate_factor,
                                         terms.step, kernels::BiasCorrection::kInRate),
                         {.weight = parameters_.flat(),
                          .gradient = parameters_.grad(),
                          .decays = parameters_.decay_mask(),
                          .first = first_,
                          .second = second_,
                          .gate = terms.gate});
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
