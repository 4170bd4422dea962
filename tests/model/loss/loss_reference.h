// What the tests of losses share: random inputs with shared queries, and a comparison with a loss
// written out in float64.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "gtest/gtest.h"
#include "model/loss/loss.h"
#include "model/scorer/inner_product.h"

namespace torii::model {

struct LossCase {
  std::vector<int64_t> begins = {0, 1, 2, 3};  // of the rows of each query
  int64_t columns = 5;
  int64_t per_row = 2;
  double temperature = 0.5;
};

inline LossInput RandomLossInput(const LossCase& c, uint64_t seed) {
  at::manual_seed(seed);
  LossInput input;
  input.rows = RowGroups::Of(c.begins);
  const int64_t rows = input.rows.rows();
  input.q = at::randn({input.rows.queries(), 4});
  input.v = at::randn({c.columns, 4});
  input.weight = at::rand({rows}) / 2;
  input.items = at::arange(c.columns, at::kLong);
  input.positive = at::randint(std::max<int64_t>(c.columns, 1), {rows}, at::kLong);
  input.negatives = at::randint(-1, std::max<int64_t>(c.columns, 1), {rows, c.per_row}, at::kLong);
  input.facts.sources = {"in_batch"};
  input.facts.draws = {rows};
  input.facts.corpus_items = 2 * c.columns;
  input.facts.multiplicity = at::ones({1, c.columns}, at::kInt);
  input.facts.expected = at::rand({1, c.columns}, at::kDouble) + 0.1;
  input.scorer = MakeInnerProduct(c.temperature);
  return input;
}

// reference: from the float64 scores of rows against columns [B, U] to the loss.
inline void ExpectLossAndGradients(
    const LossInput& input, const LossResult& got,
    const std::function<at::Tensor(const at::Tensor& scores)>& reference) {
  const c10::AutoGradMode grad(true);
  at::Tensor q = input.q.to(at::kDouble).detach().requires_grad_();
  at::Tensor v = input.v.to(at::kDouble).detach().requires_grad_();
  std::vector<at::Tensor> of_rows = {at::zeros({0, q.size(1)}, at::kDouble)};
  for (int64_t row = 0; row < input.rows.rows(); ++row) {
    of_rows.push_back(q[input.rows.QueryOf(row)].unsqueeze(0));
  }
  const at::Tensor scores = at::matmul(at::cat(of_rows), v.t()) / input.scorer->temperature();
  const at::Tensor loss = reference(scores);
  if (loss.requires_grad()) loss.backward();
  EXPECT_NEAR(got.value.item<double>(), loss.item<double>(),
              2e-6 * (1 + loss.abs().item<double>()));
  const auto expect_near = [](const at::Tensor& actual, const at::Tensor& wanted) {
    const at::Tensor expected = wanted.defined() ? wanted : at::zeros_like(actual, at::kDouble);
    ASSERT_EQ(actual.sizes(), expected.sizes());
    if (expected.numel() == 0) return;
    EXPECT_LT((actual.to(at::kDouble) - expected).abs().max().item<double>(),
              2e-6 * (1 + expected.abs().max().item<double>()));
  };
  expect_near(got.q_grad, q.grad());
  expect_near(got.v_grad, v.grad());
}

// A loss over per-row lists, row by row: row_loss(score of the positive, scores of its negatives).
template <typename Row>
at::Tensor SumOverRows(const LossInput& input, const at::Tensor& scores, const Row& row_loss) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (int64_t row = 0; row < input.rows.rows(); ++row) {
    std::vector<at::Tensor> negatives;
    for (int64_t k = 0; k < input.negatives.size(1); ++k) {
      const auto column = input.negatives[row][k].item<int64_t>();
      if (column >= 0) negatives.push_back(scores[row][column]);
    }
    const auto positive = input.positive[row].item<int64_t>();
    sum = sum + input.weight[row].to(at::kDouble) * row_loss(scores[row][positive], negatives);
  }
  return sum;
}

// Shapes for such losses.
inline const std::vector<LossCase>& RowLossCases() {
  static const auto* const kCases = new std::vector<LossCase>{
      {.begins = {0}},  // no rows
      {.begins = {0, 1}, .columns = 1, .per_row = 1},
      {.begins = {0, 1, 2, 3, 4, 5, 6, 7}, .columns = 5, .per_row = 3, .temperature = 0.1},
      {.begins = {0, 3, 3, 4, 6}, .columns = 4, .per_row = 2},  // shared queries, one without rows
  };
  return *kCases;
}

}  // namespace torii::model
