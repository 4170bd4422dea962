#include "model/scorer/mlp_scorer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "model/scorer/inner_product.h"

namespace torii::model {
namespace {

constexpr int64_t kDim = 6;

at::Tensor Normal(at::IntArrayRef sizes) {
  static std::mt19937_64 random{33};
  std::normal_distribution<float> normal;
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = normal(random);
  return out;
}

struct Network {
  explicit Network(const std::vector<int>& hidden) {
    MlpScorer config;
    for (const int width : hidden) config.add_hidden(width);
    scorer = MakeMlpScorer(config, kDim, parameters);
    parameters.Allocate(4);
    parameters.flat().add_(Normal({parameters.size()}), 0.2);
  }
  std::vector<at::Tensor> Float64Weights() const {
    std::vector<at::Tensor> weights;
    for (size_t i = 0; i < parameters.info().size(); ++i) {
      const at::Tensor& weight = parameters.Get(static_cast<int>(i));
      weights.push_back(weight.detach().to(at::kDouble).requires_grad_());
    }
    return weights;
  }
  DenseParameters parameters;
  std::unique_ptr<Scorer> scorer;
};

// All pairs at once, in float64.
at::Tensor Reference(const std::vector<at::Tensor>& weights, const at::Tensor& q,
                     const at::Tensor& v) {
  const int64_t rows = q.size(0), columns = v.size(0);
  const at::Tensor u = q.unsqueeze(1).expand({rows, columns, kDim});
  const at::Tensor w = v.unsqueeze(0).expand({rows, columns, kDim});
  at::Tensor x = at::cat({u, w, u * w}, 2);
  for (size_t l = 0; l < weights.size(); l += 2) {
    x = at::matmul(x, weights[l].t()) + weights[l + 1];
    if (l + 2 < weights.size()) x = at::relu(x);
  }
  return x.squeeze(2);
}

bool Near(const at::Tensor& a, const at::Tensor& b) {
  const double scale = b.numel() > 0 ? b.abs().max().item<double>() : 0;
  return at::allclose(a.to(at::kDouble), b.to(at::kDouble), 1e-4, 1e-4 * (1 + scale));
}

// 90 x 100 pairs are several tiles, 2 x 5000 are tiles of a part of a row.
TEST(MlpScorerTest, ValueAndGradientsAreThoseOfTheNetwork) {
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {0, 4}, {4, 0}, {90, 100}, {2, 5000}}) {
    Network network({9, 5});
    const at::Tensor q = Normal({rows, kDim}).requires_grad_();
    const at::Tensor v = Normal({columns, kDim}).requires_grad_();
    const at::Tensor toward = Normal({rows, columns});
    const at::Tensor got = network.scorer->Scores(q, v);
    got.backward(toward);
    const std::vector<at::Tensor> weights = network.Float64Weights();
    const at::Tensor q64 = q.detach().to(at::kDouble).requires_grad_();
    const at::Tensor v64 = v.detach().to(at::kDouble).requires_grad_();
    const at::Tensor want = Reference(weights, q64, v64);
    EXPECT_TRUE(Near(got.detach(), want.detach())) << rows << " x " << columns;
    want.backward(toward.to(at::kDouble));
    EXPECT_TRUE(Near(q.grad(), q64.grad())) << rows << " x " << columns;
    EXPECT_TRUE(Near(v.grad(), v64.grad())) << rows << " x " << columns;
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_TRUE(Near(network.parameters.GradientOf(static_cast<int>(i)), weights[i].grad()))
          << network.parameters.info()[i].name << ", " << rows << " x " << columns;
    }
  }
}

TEST(MlpScorerTest, PairsScoreAsTheyDoAmongAllPairs) {
  Network network({9});
  const at::Tensor q = Normal({20, kDim}).requires_grad_(), v = Normal({20, kDim});
  const at::Tensor pairs = network.scorer->PairScores(q, v);
  const at::Tensor all = network.scorer->Scores(q, v);
  EXPECT_TRUE(Near(pairs.detach(), all.detach().diagonal()));
  pairs.sum().backward();
  const at::Tensor grad = q.grad().clone(), weight_grad = network.parameters.grad().clone();
  q.mutable_grad().reset();
  network.parameters.ZeroGrad();
  all.diagonal().sum().backward();
  EXPECT_TRUE(Near(q.grad(), grad));
  EXPECT_TRUE(Near(network.parameters.grad(), weight_grad));
}

// Ranks count which scores are higher: a score must not depend on what is computed with it.
TEST(MlpScorerTest, ScoreHasTheSameBitsInAnyCompany) {
  const Network network({17, 8});
  const c10::NoGradGuard no_grad;
  const at::Tensor q = Normal({41, kDim}), v = Normal({333, kDim});
  const at::Tensor all = network.scorer->Scores(q, v);
  EXPECT_TRUE(at::equal(network.scorer->Scores(q.narrow(0, 7, 1), v), all.narrow(0, 7, 1)));
  EXPECT_TRUE(at::equal(network.scorer->Scores(q.narrow(0, 3, 30), v.narrow(0, 200, 101)),
                        all.narrow(0, 3, 30).narrow(1, 200, 101)));
  EXPECT_TRUE(at::equal(network.scorer->PairScores(q, v.narrow(0, 50, 41)),
                        all.narrow(1, 50, 41).diagonal()));
}

// relu(x) - relu(-x) = x: the weights of the hidden layer pick u_d v_d and its negative.
void SetUpInnerProduct(DenseParameters& parameters, double inverse_temperature) {
  parameters.flat().zero_();
  const at::Tensor w1 = parameters.Get(0).detach(), w2 = parameters.Get(2).detach();
  for (int64_t d = 0; d < kDim; ++d) {
    w1[d][2 * kDim + d] = 1;
    w1[kDim + d][2 * kDim + d] = -1;
    w2[0][d] = inverse_temperature;
    w2[0][kDim + d] = -inverse_temperature;
  }
}

TEST(MlpScorerTest, SetUpAsInnerProductItIsOne) {
  Network network({2 * static_cast<int>(kDim)});
  SetUpInnerProduct(network.parameters, 5);
  const auto product = MakeInnerProduct(0.2);
  const at::Tensor q = Normal({9, kDim}).requires_grad_(), v = Normal({13, kDim}).requires_grad_();
  const auto loss_and_gradients = [&](const Scorer& scorer) {
    const at::Tensor scores = scorer.Scores(q, v);
    const at::Tensor loss = (at::logsumexp(scores, {1}) - scores.select(1, 0)).sum();
    const auto gradients = torch::autograd::grad({loss}, {q, v});
    return std::vector<at::Tensor>{loss.detach(), gradients[0], gradients[1],
                                   scores.detach().argsort(int64_t{1}, /*descending=*/false)};
  };
  const auto got = loss_and_gradients(*network.scorer), want = loss_and_gradients(*product);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Near(got[i], want[i])) << i;
  EXPECT_TRUE(at::equal(got[3], want[3]));
}

}  // namespace
}  // namespace torii::model
