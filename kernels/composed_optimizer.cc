#include "kernels/composed_optimizer.h"

#include <ATen/ATen.h>

#include <cfloat>

namespace torii::kernels {

void ComposedRule(const OptimizerStep& step, const at::Tensor& gradient, at::Tensor& weight,
                  at::Tensor& first, at::Tensor& second) {
  const double epsilon = static_cast<double>(step.epsilon + FLT_MIN);
  const auto rate = static_cast<double>(step.learning_rate);
  switch (step.rule) {
    case OptimizerRule::kSgd:
      weight.sub_(gradient * rate);
      return;
    case OptimizerRule::kMomentum:
      first.mul_(static_cast<double>(step.momentum)).add_(gradient);
      weight.sub_(first * rate);
      return;
    case OptimizerRule::kRowwiseAdagrad:  // first [rows, 1], the others [rows, dim]
      first.add_(gradient.square().mean(1, /*keepdim=*/true));
      weight.sub_(gradient * (rate / (first.sqrt() + epsilon)));
      return;
    case OptimizerRule::kAdagrad:
      second.add_(gradient.square());
      weight.sub_(gradient * rate / (second.sqrt() + epsilon));
      return;
    case OptimizerRule::kAdam: {
      first.mul_(static_cast<double>(step.beta1)).add_(gradient * static_cast<double>(step.rest1));
      second.mul_(static_cast<double>(step.beta2))
          .add_(gradient * static_cast<double>(step.rest2) * gradient);
      const at::Tensor root =
          (second * static_cast<double>(step.unbias2)).sqrt() * static_cast<double>(step.root);
      weight.sub_(first * static_cast<double>(step.unbias1) * rate / (root + epsilon));
      return;
    }
  }
}

}  // namespace torii::kernels
