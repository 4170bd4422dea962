#include "kernels/optimizer_step.h"

#include <cmath>

namespace torii::kernels {

OptimizerStep StepOf(const OptimizerSettings& settings, double factor, int64_t step,
                     BiasCorrection correction) {
  const double rate = settings.learning_rate * factor;
  const auto t = static_cast<double>(step + 1);
  const double rest1 = 1 - std::pow(settings.beta1, t), rest2 = 1 - std::pow(settings.beta2, t);
  OptimizerStep out{};
  out.rule = settings.rule;
  out.learning_rate = static_cast<float>(rate);
  out.epsilon = static_cast<float>(settings.epsilon);
  out.l2 = settings.decoupled ? 0.0F : static_cast<float>(settings.decay);
  out.shrink = settings.decoupled ? static_cast<float>(rate * settings.decay) : 0.0F;
  out.momentum = static_cast<float>(settings.momentum);
  out.beta1 = static_cast<float>(settings.beta1);
  out.beta2 = static_cast<float>(settings.beta2);
  out.unbias1 = out.unbias2 = out.root = 1;
  if (correction == BiasCorrection::kInMoments) {
    out.rest1 = 1 - out.beta1;
    out.rest2 = 1 - out.beta2;
    out.unbias1 = static_cast<float>(1 / rest1);
    out.unbias2 = static_cast<float>(1 / rest2);
    return out;
  }
  out.rest1 = static_cast<float>(1 - settings.beta1);
  out.rest2 = static_cast<float>(1 - settings.beta2);
  if (settings.rule == OptimizerRule::kAdam) {
    out.learning_rate = static_cast<float>(rate / rest1);
    out.root = static_cast<float>(1 / std::sqrt(rest2));
  }
  return out;
}

}  // namespace torii::kernels
