// BPR and binary cross-entropy against float64.
#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/loss/bce.h"
#include "model/loss/bpr.h"
#include "tests/model/loss/loss_reference.h"

namespace torii::model {
namespace {

at::Tensor Softplus(const at::Tensor& x) { return at::log1p(at::exp(x)); }

at::Tensor BprRow(const at::Tensor& positive, const std::vector<at::Tensor>& negatives) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (const at::Tensor& negative : negatives) sum = sum + Softplus(negative - positive);
  return negatives.empty() ? sum : sum / static_cast<double>(negatives.size());
}

at::Tensor BceRow(const at::Tensor& positive, const std::vector<at::Tensor>& negatives) {
  at::Tensor sum = Softplus(-positive);
  for (const at::Tensor& negative : negatives) sum = sum + Softplus(negative);
  return sum / (1 + static_cast<double>(negatives.size()));
}

TEST(BprLossTest, EqualsTheRowsOneByOne) {
  for (const LossCase& c : RowLossCases()) {
    const LossInput input = RandomLossInput(c, 3);
    const auto got = BprLoss(BprConfig()).Finish(input, {});
    ASSERT_TRUE(got.ok());
    ExpectLossAndGradients(
        input, *got, [&](const at::Tensor& scores) { return SumOverRows(input, scores, BprRow); });
  }
}

TEST(BceLossTest, EqualsTheRowsOneByOne) {
  for (const LossCase& c : RowLossCases()) {
    const LossInput input = RandomLossInput(c, 4);
    const auto got = BceLoss(BceConfig()).Finish(input, {});
    ASSERT_TRUE(got.ok());
    ExpectLossAndGradients(
        input, *got, [&](const at::Tensor& scores) { return SumOverRows(input, scores, BceRow); });
  }
}

TEST(RowLossesTest, StayFiniteWithScoresOfTenThousand) {
  LossInput input = RandomLossInput({}, 5);
  input.q *= 1e4;
  for (const auto& got :
       {BprLoss(BprConfig()).Finish(input, {}), BceLoss(BceConfig()).Finish(input, {})}) {
    EXPECT_TRUE(std::isfinite(got->value.item<double>()));
    EXPECT_TRUE(at::isfinite(got->q_grad).all().item<bool>());
  }
}

TEST(RowLossesTest, TellTheRowThatIsNotFinite) {
  LossInput input = RandomLossInput({}, 5);
  BprLoss loss{BprConfig()};
  EXPECT_EQ(loss.Explain(input), "");
  input.q[1][2] = NAN;
  EXPECT_FALSE(std::isfinite(loss.Finish(input, {})->value.item<double>()));
  EXPECT_THAT(loss.Explain(input), ::testing::HasSubstr("row 1 of 3"));
}

TEST(RowLossesTest, AskForListsAndNoColumns) {
  BprConfig config;
  config.set_negatives(7);
  const LossNeeds needs = BprLoss(config).needs();
  EXPECT_FALSE(needs.all_columns);
  EXPECT_EQ(needs.negatives_per_row, 7);
}

}  // namespace
}  // namespace torii::model
