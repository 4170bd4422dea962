#include "model/dense_parameters.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "gtest/gtest.h"

namespace torii::model {
namespace {

DenseParameters Example(uint64_t seed) {
  DenseParameters p;
  p.Add({"user.hidden0.weight", {128, 32}, Init::kHe, true});
  p.Add({"user.hidden0.bias", {128}, Init::kZero, false});
  p.Add({"user.norm.weight", {7}, Init::kOne, false});
  p.Add({"user.final.weight", {64, 128}, Init::kLinear, true});
  p.Allocate(seed);
  return p;
}

TEST(DenseParametersTest, WeightsAreViewsOfTheFlatBuffer) {
  DenseParameters p = Example(1);
  EXPECT_EQ(p.size(), 128 * 32 + 128 + 7 + 64 * 128);
  EXPECT_EQ(p.flat().numel(), p.size());
  p.flat().fill_(3);
  EXPECT_TRUE(at::equal(p.Get(3), at::full({64, 128}, 3.0)));
  EXPECT_TRUE(p.Get(3).requires_grad());
  EXPECT_FALSE(p.flat().requires_grad());
}

TEST(DenseParametersTest, BackwardAddsToTheFlatGradient) {
  DenseParameters p = Example(1);
  for (int pass = 1; pass <= 2; ++pass) {
    (p.Get(2) * at::arange(7, at::kFloat)).sum().backward();
    const ParameterInfo& info = p.info()[2];
    EXPECT_TRUE(at::equal(p.grad().narrow(0, info.begin, 7), at::arange(7, at::kFloat) * pass));
    EXPECT_EQ(p.GradientOf(2).const_data_ptr(), p.grad().const_data_ptr<float>() + info.begin);
  }
  EXPECT_EQ(p.grad().narrow(0, 0, p.info()[2].begin).abs().sum().item<float>(), 0);
  p.ZeroGrad();
  EXPECT_EQ(p.grad().abs().sum().item<float>(), 0);
  // Still the same memory after zeroing.
  p.Get(2).sum().backward();
  EXPECT_EQ(p.grad().sum().item<float>(), 7);
}

// As a trunk that serves both towers is.
TEST(DenseParametersTest, WeightThatIsUsedTwiceGetsTheSumOfItsGradients) {
  DenseParameters p = Example(1);
  const at::Tensor x = at::arange(7, at::kFloat);
  const at::Tensor first = (p.Get(2) * x).sum(), second = (p.Get(2) * p.Get(2)).sum() * 3;
  torch::autograd::backward({first, second}, {at::ones({}), at::ones({})});
  EXPECT_TRUE(at::equal(p.GradientOf(2), x + 6));  // the weight is 1
}

TEST(DenseParametersTest, InitKeyDecidesTheFirstValueAndTheNameDoesNot) {
  DenseParameters renamed;
  const int weight = renamed.Add(
      {"user.head.weight", {64, 128}, Init::kLinear, /*decay=*/true, "user.final.weight"});
  renamed.Allocate(1);
  DenseParameters p = Example(1);
  EXPECT_TRUE(at::equal(renamed.Get(weight), p.Get(3)));
  EXPECT_EQ(p.info()[3].init_key, "user.final.weight");
}

TEST(DenseParametersTest, BoundsHoldAfterClamping) {
  DenseParameters p;
  ParameterInfo bounded{"theta", {2}, Init::kConstant, false};
  bounded.constant = 1.5;
  bounded.at_most = 2;
  const int free = p.Add({"free", {1}, Init::kOne, false});
  const int theta = p.Add(bounded);
  p.Allocate(1);
  EXPECT_EQ(p.Get(theta)[1].item<float>(), 1.5F);
  p.flat().mul_(4);
  p.ClampToBounds();
  EXPECT_EQ(p.Get(theta)[0].item<float>(), 2);
  EXPECT_EQ(p.Get(free)[0].item<float>(), 4);
}

TEST(DenseParametersTest, InitialisesByKindAndMarksDecay) {
  DenseParameters p = Example(1);
  EXPECT_NEAR(p.Get(0).detach().std().item<double>(), std::sqrt(2.0 / 32), 0.01);
  EXPECT_NEAR(p.Get(3).detach().std().item<double>(), std::sqrt(1.0 / 128), 0.003);
  EXPECT_NEAR(p.Get(3).detach().mean().item<double>(), 0, 0.005);
  EXPECT_EQ(p.Get(1).detach().abs().sum().item<float>(), 0);
  EXPECT_EQ(p.Get(2).detach().sum().item<float>(), 7);
  EXPECT_EQ(p.decay_mask().sum().item<double>(), 128 * 32 + 64 * 128);
  EXPECT_EQ(p.decay_mask()[128 * 32].item<float>(), 0);
}

TEST(DenseParametersTest, AWeightDependsOnSeedAndNameOnly) {
  DenseParameters a = Example(1), same = Example(1), other_seed = Example(2), alone;
  EXPECT_TRUE(at::equal(a.flat(), same.flat()));
  EXPECT_FALSE(at::equal(a.flat(), other_seed.flat()));
  const int same_name = alone.Add({"user.final.weight", {64, 128}, Init::kLinear, true});
  const int other_name = alone.Add({"item.final.weight", {64, 128}, Init::kLinear, true});
  alone.Allocate(1);
  EXPECT_TRUE(at::equal(a.Get(3), alone.Get(same_name)));
  EXPECT_FALSE(at::equal(a.Get(3), alone.Get(other_name)));
}

TEST(DenseParametersTest, WorksWithoutAnyWeight) {
  DenseParameters p;
  p.Allocate(1);
  EXPECT_EQ(p.flat().numel(), 0);
  p.ZeroGrad();
}

TEST(DenseParametersDeathTest, RefusesTwoWeightsOfOneName) {
  DenseParameters p;
  p.Add({"x", {1}, Init::kZero, false});
  EXPECT_DEATH(p.Add({"x", {1}, Init::kZero, false}), "two dense weights are called x");
  EXPECT_DEATH(p.Add({"y", {1}, Init::kZero, false, "x"}), "y and x have the init key x");
}

}  // namespace
}  // namespace torii::model
