#include "model/scorer/inner_product.h"

#include <ATen/ATen.h>

#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace torii::model {
namespace {

at::Tensor Normal(at::IntArrayRef sizes) {
  static std::mt19937_64 random{5};
  std::normal_distribution<float> normal;
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = normal(random);
  return out;
}

TEST(InnerProductTest, DividesByTheTemperature) {
  const auto scorer = MakeInnerProduct(0.07);
  EXPECT_TRUE(scorer->is_inner_product());
  EXPECT_EQ(scorer->temperature(), 0.07);
  EXPECT_EQ(scorer->divisor(), 0.07);
  const at::Tensor q = Normal({3, 8}), v = Normal({5, 8});
  const at::Tensor scores = scorer->Scores(q, v);
  EXPECT_TRUE(at::allclose(scores, at::mm(q, v.t()) / 0.07, 1e-5, 1e-5));
  EXPECT_TRUE(
      at::allclose(scorer->PairScores(q, v.narrow(0, 0, 3)), scores.diagonal(), 1e-5, 1e-5));
  EXPECT_EQ(scorer->Scores(q, v.narrow(0, 0, 0)).sizes(), at::IntArrayRef({3, 0}));
}

// A loss sees scores only: whichever, its gradient with respect to theta follows from that of q.
TEST(LearnedTemperatureTest, GradientOfThetaFollowsFromThatOfTheQueries) {
  DenseParameters parameters;
  const auto scorer = MakeInnerProductOfLearnedTemperature(0.2, parameters);
  parameters.Allocate(1);
  EXPECT_NEAR(scorer->temperature(), 0.2, 1e-6);
  EXPECT_FALSE(parameters.info()[0].decay);
  const at::Tensor q = Normal({7, 8}).requires_grad_(), v = Normal({11, 8});
  const auto loss = [](const at::Tensor& scores) {
    return (at::logsumexp(scores, {1}) - scores.select(1, 0)).sum();
  };
  loss(scorer->Scores(q, v)).backward();
  const double composed = parameters.GradientOf(0).item<double>();

  // In float64, by the formula: sum_ij (P_ij - 1[j = 0]) s_ij.
  const at::Tensor s =
      at::mm(q.detach().to(at::kDouble), v.to(at::kDouble).t()) * (1 / scorer->temperature());
  at::Tensor p = at::softmax(s, 1);
  p.select(1, 0).sub_(1);
  const double expected = (p * s).sum().item<double>();
  EXPECT_NEAR(composed, expected, 1e-4 * std::abs(expected));

  // As the fused losses do it: over scaled queries.
  parameters.ZeroGrad();
  const at::Tensor scaled = scorer->ScaleQueries(q.detach()).requires_grad_();
  loss(at::mm(scaled, v.t()) / scorer->divisor()).backward();
  const at::Tensor q_grad = scorer->QueryGradient(scaled.detach(), scaled.grad());
  EXPECT_TRUE(at::allclose(q_grad, q.grad(), 1e-4, 1e-5));
  EXPECT_NEAR(parameters.GradientOf(0).item<double>(), expected, 1e-4 * std::abs(expected));
}

TEST(LearnedTemperatureTest, NeverGetsColderThanTheLimit) {
  DenseParameters parameters;
  const auto scorer = MakeInnerProductOfLearnedTemperature(0.011, parameters);
  parameters.Allocate(1);
  parameters.flat().add_(3);
  EXPECT_LT(scorer->temperature(), 0.001);
  parameters.ClampToBounds();
  EXPECT_NEAR(1 / scorer->temperature(), kMostInverseTemperature, 1e-3);
}

}  // namespace
}  // namespace torii::model
