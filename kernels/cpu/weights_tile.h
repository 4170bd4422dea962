// The optimizers of dense weights, written once; compiled by weights_{baseline,avx2,avx512}.cc.
#pragma once

#include "kernels/cpu/weights_variant.h"
#include "kernels/optimizer_rules.h"

namespace torii::kernels::cpu {
namespace {

// weight = rule(weight, gradient, place) with both kinds of decay. Copies of the arguments, which
// no store to a weight can change, let the compiler make vectors of the loop.
template <class Rule>
[[gnu::always_inline]] inline void ForWeights(const WeightsArgs args, int64_t begin, int64_t end,
                                              const Rule rule) {
  const OptimizerStep step = args.step;
  float* const weight = args.weight;
  const float *const gradient = args.gradient, *const decays = args.decays;
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) {
    const float w = weight[i];
    const float g = gradient[i] + step.l2 * decays[i] * w;
    weight[i] = rule(step, w - step.shrink * decays[i] * w, g, i);
  }
}

void UpdateWeights(const WeightsArgs& args, int64_t begin, int64_t end) {
  float *const first = args.first, *const second = args.second;
  switch (args.step.rule) {
    case OptimizerRule::kSgd:
      return ForWeights(args, begin, end, [](const OptimizerStep& s, float w, float g, int64_t) {
        return Sgd(s, w, g);
      });
    case OptimizerRule::kMomentum:
      return ForWeights(args, begin, end,
                        [first](const OptimizerStep& s, float w, float g, int64_t i) {
                          return Momentum(s, w, g, first[i]);
                        });
    case OptimizerRule::kAdagrad:
      return ForWeights(args, begin, end,
                        [second](const OptimizerStep& s, float w, float g, int64_t i) {
                          return Adagrad(s, w, g, second[i]);
                        });
    case OptimizerRule::kAdam:
      return ForWeights(args, begin, end,
                        [first, second](const OptimizerStep& s, float w, float g, int64_t i) {
                          return Adam(s, w, g, first[i], second[i]);
                        });
    case OptimizerRule::kRowwiseAdagrad:  // of rows only
      return;
  }
}

constexpr WeightsVariant MakeWeightsVariant(const char* name) { return {name, UpdateWeights}; }

}  // namespace
}  // namespace torii::kernels::cpu
