#include "model/loss/composed_softmax.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <memory>

#include "gtest/gtest.h"
#include "model/loss/bce.h"
#include "model/loss/bpr.h"
#include "model/loss/softmax.h"
#include "model/scorer/inner_product.h"
#include "model/scorer/mlp_scorer.h"
#include "tests/model/loss/loss_reference.h"

namespace torii::model {
namespace {

// An MLP over (u, v, u * v) whose weights make it u . v / temperature: its hidden layer picks u_d
// v_d and -u_d v_d, and relu(x) - relu(-x) = x.
struct InnerProductByMlp {
  InnerProductByMlp(int64_t dim, double temperature) {
    MlpScorer config;
    config.add_hidden(static_cast<int32_t>(2 * dim));
    scorer = MakeMlpScorer(config, dim, parameters);
    parameters.Allocate(1);
    parameters.flat().zero_();
    const at::Tensor w1 = parameters.Get(0).detach(), w2 = parameters.Get(2).detach();
    for (int64_t d = 0; d < dim; ++d) {
      w1[d][2 * dim + d] = 1;
      w1[dim + d][2 * dim + d] = -1;
      w2[0][d] = 1 / temperature;
      w2[0][dim + d] = -1 / temperature;
    }
  }
  DenseParameters parameters;
  std::shared_ptr<const Scorer> scorer;
};

const LossCase kCases[] = {
    {.begins = {0, 1}, .columns = 1},
    {.begins = {0, 1, 2, 3, 4, 5, 6, 7}, .columns = 5},
    {.begins = {0, 3, 3, 4, 9}, .columns = 4},
};

LossInput WithHiddenColumns(LossInput input) {
  const int64_t queries = input.rows.queries(), columns = input.v.size(0);
  // Query i does not see column i mod U; the last one sees all.
  input.excluded.begin = at::arange(queries + 1, at::kLong).clamp_max(queries - 1);
  input.excluded.columns = at::arange(queries - 1, at::kLong).remainder(columns);
  return input;
}

void ExpectSame(const LossResult& got, const LossResult& want) {
  EXPECT_NEAR(got.value.item<double>(), want.value.item<double>(),
              1e-5 * (1 + std::abs(want.value.item<double>())));
  EXPECT_TRUE(at::allclose(got.q_grad, want.q_grad, 1e-4, 1e-5)) << got.q_grad << want.q_grad;
  EXPECT_TRUE(at::allclose(got.v_grad, want.v_grad, 1e-4, 1e-5)) << got.v_grad << want.v_grad;
}

// The composed softmax of a scorer that happens to be an inner product is the fused one.
TEST(ComposedSoftmaxTest, MlpThatIsAnInnerProductGivesItsLossAndGradients) {
  for (const LossCase& c : kCases) {
    for (const bool hides : {false, true}) {
      LossInput input = RandomLossInput(c, 3);
      if (hides) input = WithHiddenColumns(input);
      SoftmaxLoss loss(SoftmaxConfig(), kernels::Device::Cpu());
      const LossResult fused = *loss.Finish(input, {});
      const LossResult want{fused.value.clone(), fused.q_grad.clone(), fused.v_grad.clone()};
      const InnerProductByMlp mlp(input.q.size(1), c.temperature);
      input.scorer = mlp.scorer;
      ExpectSame(*loss.Finish(input, {}), want);
      EXPECT_GT(mlp.parameters.GradientOf(2).abs().sum().item<double>() + (c.columns == 1), 0);
    }
  }
}

TEST(ComposedSoftmaxTest, LossesOverPairsDoLikewise) {
  for (const LossCase& c : kCases) {
    LossInput input = RandomLossInput(c, 4);
    const InnerProductByMlp mlp(input.q.size(1), c.temperature);
    LossInput by_mlp = input;
    by_mlp.scorer = mlp.scorer;
    ExpectSame(*BprLoss{BprConfig()}.Finish(by_mlp, {}), *BprLoss{BprConfig()}.Finish(input, {}));
    ExpectSame(*BceLoss{BceConfig()}.Finish(by_mlp, {}), *BceLoss{BceConfig()}.Finish(input, {}));
  }
}

// 150 queries are several tiles.
TEST(ComposedSoftmaxTest, TilesAddUp) {
  at::manual_seed(8);
  SoftmaxProblem p;
  p.q = at::randn({150, 4});
  p.v = at::randn({40, 4});
  p.rows = RowGroups::OneEach(150);
  p.column_offset = at::randn({40});
  p.positive = at::randint(40, {150}, at::kLong);
  p.positive_offset = at::randn({150});
  p.target_offset = at::randn({150});
  p.weight = at::rand({150});
  p.temperature = 0.5;
  FusedSoftmax fused;
  const SoftmaxResult want = fused.Compute(p);
  const SoftmaxResult got = ComposedSoftmax(*MakeInnerProduct(0.5), p);
  ExpectSame({got.value, got.q_grad, got.v_grad}, {want.value, want.q_grad, want.v_grad});
}

TEST(ComposedSoftmaxTest, NamesTheRowThatIsNotFinite) {
  LossInput input = RandomLossInput({.begins = {0, 1, 2, 3}, .columns = 4}, 5);
  const InnerProductByMlp mlp(input.q.size(1), 0.5);
  input.scorer = mlp.scorer;
  SoftmaxLoss loss(SoftmaxConfig(), kernels::Device::Cpu());
  EXPECT_EQ(loss.Explain(input), "");
  input.q[1][0] = std::numeric_limits<float>::infinity();
  EXPECT_NE(loss.Explain(input).find("row 1 of 3"), std::string::npos) << loss.Explain(input);
}

TEST(ComposedSoftmaxTest, WorksWithoutRows) {
  LossInput input = RandomLossInput({.begins = {0}, .columns = 3}, 6);
  const InnerProductByMlp mlp(input.q.size(1), 0.5);
  input.scorer = mlp.scorer;
  SoftmaxLoss loss(SoftmaxConfig(), kernels::Device::Cpu());
  const LossResult result = *loss.Finish(input, {});
  EXPECT_EQ(result.value.item<double>(), 0);
  EXPECT_EQ(result.v_grad.sizes(), input.v.sizes());
  EXPECT_EQ(result.v_grad.abs().sum().item<double>(), 0);
}

}  // namespace
}  // namespace torii::model
