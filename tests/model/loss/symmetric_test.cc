// The symmetric loss against float64, whole and cut over "ranks" whose reductions the test makes.
#include "model/loss/symmetric.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "model/loss/log_q.h"
#include "model/scorer/inner_product.h"
#include "tests/model/loss/loss_reference.h"

namespace torii::model {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// All parts of a batch through one loss each, reduced between them.
std::vector<LossResult> Solve(const SymmetricConfig& config, const std::vector<LossInput>& parts) {
  SymmetricLoss loss(config, kernels::Device::Cpu());
  std::vector<at::Tensor> reduced;
  for (int k = 0; k < loss.num_reductions(); ++k) {
    at::Tensor total;
    for (const LossInput& part : parts) {
      const Reduction partial = *loss.Partial(part, reduced);
      if (!total.defined()) {
        total = partial.tensor;
      } else {
        total = partial.op == Reduction::Op::kMax ? at::maximum(total, partial.tensor)
                                                  : total + partial.tensor;
      }
    }
    reduced.push_back(total);
  }
  std::vector<LossResult> results;
  for (const LossInput& part : parts) results.push_back(*loss.Finish(part, reduced));
  return results;
}

// [B, U]: 1 where the query of a row does not see the column.
at::Tensor Hidden(const LossInput& input) {
  at::Tensor hidden = at::zeros({input.rows.rows(), input.v.size(0)}, at::kBool);
  for (int64_t row = 0; input.excluded.begin.defined() && row < input.rows.rows(); ++row) {
    const int64_t query = input.rows.QueryOf(row);
    const auto end = input.excluded.begin[query + 1].item<int64_t>();
    for (auto e = input.excluded.begin[query].item<int64_t>(); e < end; ++e) {
      hidden[row][input.excluded.columns[e].item<int64_t>()] = true;
    }
    hidden[row][input.positive[row].item<int64_t>()] = false;
  }
  return hidden;
}

at::Tensor Reference(const SymmetricConfig& config, const LossInput& input,
                     const at::Tensor& scores) {
  const bool hides_hits = config.softmax().pairing() == SoftmaxConfig::A;
  const LogQ log_q = LogQOf(config.softmax(), input.facts, input.positive);
  const at::Tensor hidden = Hidden(input);
  const at::Tensor minus_infinity = at::full({}, kMinusInfinity, at::kDouble);
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (int64_t n = 0; n < input.rows.rows(); ++n) {
    const auto p = input.positive[n].item<int64_t>();
    at::Tensor offset = log_q.column_offset.to(at::kDouble).clone();
    offset[p] = log_q.positive_offset[n].item<double>();
    const at::Tensor row = at::where(hidden[n], minus_infinity, scores[n] + offset);
    const at::Tensor over_columns =
        at::logsumexp(row, {0}) - scores[n][p] - log_q.target_offset[n].to(at::kDouble);
    std::vector<at::Tensor> others;
    for (int64_t m = 0; m < input.rows.rows(); ++m) {
      const bool hit = m != n && input.positive[m].item<int64_t>() == p;
      if (hidden[m][p].item<bool>() || (hit && hides_hits)) continue;
      others.push_back(scores[m][p]);
    }
    const at::Tensor over_rows = at::logsumexp(at::stack(others), {0}) - scores[n][p];
    sum = sum + input.weight[n].to(at::kDouble) * (over_columns + over_rows) / 2;
  }
  return sum;
}

SymmetricConfig ConfigOf(SoftmaxConfig::Pairing pairing) {
  SymmetricConfig config;
  config.mutable_softmax()->set_pairing(pairing);
  return config;
}

TEST(SymmetricLossTest, GivesTheGoldenLossesOfTheRows) {
  // Users (1,0) (0,1) (1,1) (1,-1), items (1,0) (0,1) (.5,.5), positives a b a c, tau .5, hits
  // kept.
  LossInput input;
  input.q = at::tensor({1.F, 0.F, 0.F, 1.F, 1.F, 1.F, 1.F, -1.F}).view({4, 2});
  input.v = at::tensor({1.F, 0.F, 0.F, 1.F, .5F, .5F}).view({3, 2});
  input.rows = RowGroups::OneEach(4);
  input.positive = at::tensor(std::vector<int64_t>{0, 1, 0, 2}, at::kLong);
  input.weight = at::full({4}, 0.25);
  input.facts.sources = {"in_batch"};
  input.facts.draws = {3};
  input.facts.multiplicity = at::tensor({2, 1, 1}, at::kInt).view({1, 3});
  input.facts.expected = at::ones({1, 3}, at::kDouble);
  input.facts.corpus_items = 3;
  input.scorer = MakeInnerProduct(0.5);
  SymmetricConfig config = ConfigOf(SoftmaxConfig::B);
  config.mutable_softmax()->set_log_q(false);
  const LossResult result = Solve(config, {input})[0];
  EXPECT_NEAR(result.value.item<double>(), (1.391211593 + 1.419790028) / 2, 1e-6);
}

TEST(SymmetricLossTest, EqualsTheWholeMatrix) {
  for (const auto pairing : {SoftmaxConfig::A, SoftmaxConfig::B}) {
    for (const LossCase& c : {LossCase{.begins = {0, 1}, .columns = 1},
                              LossCase{.begins = {0, 1, 2, 3, 4, 5, 6, 7}, .columns = 3},
                              LossCase{.begins = {0, 3, 3, 4, 6}, .columns = 4}}) {
      LossInput input = RandomLossInput(c, 7);
      const SymmetricConfig config = ConfigOf(pairing);
      ExpectLossAndGradients(input, Solve(config, {input})[0], [&](const at::Tensor& scores) {
        return Reference(config, input, scores);
      });
    }
  }
}

TEST(SymmetricLossTest, PairsThatARowDoesNotSeeAreHiddenInBothHalves) {
  LossInput input = RandomLossInput({.begins = {0, 1, 2, 3, 4}, .columns = 4}, 8);
  input.excluded.begin = at::tensor(std::vector<int64_t>{0, 2, 2, 3, 4}, at::kLong);
  input.excluded.columns = at::tensor(std::vector<int64_t>{0, 3, 1, 2}, at::kLong);
  for (const auto pairing : {SoftmaxConfig::A, SoftmaxConfig::B}) {
    const SymmetricConfig config = ConfigOf(pairing);
    ExpectLossAndGradients(input, Solve(config, {input})[0], [&](const at::Tensor& scores) {
      return Reference(config, input, scores);
    });
  }
}

// 150 rows (several tiles) on one rank, and cut over three, one without rows.
TEST(SymmetricLossTest, IsTheSameOnSeveralRanks) {
  std::vector<int64_t> begins = {0};
  for (int64_t row = 1; row <= 150; ++row) begins.push_back(row);
  const LossInput whole = RandomLossInput({.begins = begins, .columns = 40}, 9);
  for (const auto pairing : {SoftmaxConfig::A, SoftmaxConfig::B}) {
    const SymmetricConfig config = ConfigOf(pairing);
    const LossResult one = Solve(config, {whole})[0];
    std::vector<LossInput> parts;
    for (const auto& [begin, end] : {std::pair(0, 70), std::pair(70, 70), std::pair(70, 150)}) {
      LossInput part = whole;
      part.q = whole.q.slice(0, begin, end);
      part.rows = RowGroups::OneEach(end - begin);
      part.weight = whole.weight.slice(0, begin, end);
      part.positive = whole.positive.slice(0, begin, end);
      parts.push_back(part);
    }
    double value = 0;
    at::Tensor v_grad = at::zeros_like(whole.v);
    std::vector<at::Tensor> q_grads;
    for (const LossResult& result : Solve(config, parts)) {
      value += result.value.item<double>();
      v_grad += result.v_grad;
      q_grads.push_back(result.q_grad);
    }
    EXPECT_NEAR(value, one.value.item<double>(), 1e-6 * value);
    EXPECT_TRUE(at::allclose(v_grad, one.v_grad, 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(at::cat(q_grads), one.q_grad, 1e-5, 1e-6));
  }
}

TEST(SymmetricLossTest, StaysFiniteWithScoresOfTenThousand) {
  LossInput input = RandomLossInput({.begins = {0, 1, 2, 3, 4, 5}, .columns = 3}, 10);
  input.q *= 1e4;
  const LossResult result = Solve(ConfigOf(SoftmaxConfig::A), {input})[0];
  EXPECT_TRUE(std::isfinite(result.value.item<double>()));
  EXPECT_TRUE(at::isfinite(result.q_grad).all().item<bool>());
  EXPECT_TRUE(at::isfinite(result.v_grad).all().item<bool>());
}

}  // namespace
}  // namespace torii::model
