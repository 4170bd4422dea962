#include <cmath>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/cpu/variants.h"
#include "kernels/optimizer_step.h"

namespace torii::kernels::cpu {
namespace {

constexpr int64_t kSize = 1003;

std::vector<float> Normals(const char* purpose, uint64_t row) {
  std::vector<float> out(kSize);
  RandomStream(6, purpose).NormalRow(row, out);
  return out;
}

struct Weights {
  std::vector<float> weight = Normals("weight", 0), first = std::vector<float>(kSize, 0.0F),
                     second = std::vector<float>(kSize, 0.0F);
};

// Four steps by `variant`.
Weights Train(const WeightsVariant& variant, const OptimizerSettings& settings) {
  Weights w;
  std::vector<float> decays(kSize);
  for (size_t i = 0; i < decays.size(); ++i) decays[i] = i % 3 == 0 ? 0.0F : 1.0F;
  for (int64_t step = 0; step < 4; ++step) {
    const std::vector<float> gradient = Normals("gradient", static_cast<uint64_t>(step));
    const WeightsArgs args{.step = StepOf(settings, 0.5, step, BiasCorrection::kInRate),
                           .size = kSize,
                           .weight = w.weight.data(),
                           .gradient = gradient.data(),
                           .decays = decays.data(),
                           .first = w.first.data(),
                           .second = w.second.data()};
    variant.update(args, 0, kSize / 2);
    variant.update(args, kSize / 2, kSize);
  }
  return w;
}

TEST(WeightsTest, EveryInstructionSetGivesTheSameBits) {
  for (const OptimizerRule rule : {OptimizerRule::kSgd, OptimizerRule::kMomentum,
                                   OptimizerRule::kAdagrad, OptimizerRule::kAdam}) {
    for (const double decay : {0.0, 0.01}) {
      for (const bool decoupled : {false, true}) {
        const OptimizerSettings settings{.rule = rule,
                                         .learning_rate = 0.1,
                                         .epsilon = 1e-8,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .momentum = 0.9,
                                         .decay = decay,
                                         .decoupled = decoupled};
        const Weights want = Train(*kWeightsBaseline, settings);
        EXPECT_NE(want.weight, Weights().weight);
        for (const WeightsVariant* variant : RunnableWeightsVariants()) {
          const Weights got = Train(*variant, settings);
          EXPECT_EQ(got.weight, want.weight) << variant->name;
          EXPECT_EQ(got.first, want.first) << variant->name;
          EXPECT_EQ(got.second, want.second) << variant->name;
        }
      }
    }
  }
}

// With epsilon 0, a weight that never had a gradient stays where it is.
TEST(WeightsTest, NoGradientAndNoEpsilonIsNotANumberOverZero) {
  for (const OptimizerRule rule : {OptimizerRule::kAdagrad, OptimizerRule::kAdam}) {
    const std::vector<float> zeros(kSize, 0.0F);
    Weights w;
    const WeightsArgs args{
        .step = StepOf({.rule = rule, .learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.9}, 1, 0,
                       BiasCorrection::kInRate),
        .size = kSize,
        .weight = w.weight.data(),
        .gradient = zeros.data(),
        .decays = zeros.data(),
        .first = w.first.data(),
        .second = w.second.data()};
    RunnableWeightsVariants().front()->update(args, 0, kSize);
    EXPECT_EQ(w.weight, Weights().weight);
  }
}

}  // namespace
}  // namespace torii::kernels::cpu
