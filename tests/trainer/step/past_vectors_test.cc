// Columns whose vectors are of earlier steps: where they stand, what the loss makes of them, and
// that nothing flows back into them.
#include "trainer/step/past_vectors.h"

#include <cmath>

#include "ATen/ATen.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "kernels/host_tensors.h"
#include "model/net.h"
#include "tests/support/run_on_ranks.h"
#include "trainer/step/step_loss.h"

namespace torii::trainer {
namespace {

constexpr int64_t kDim = 8;

at::Tensor Ints(std::vector<int64_t> values) { return kernels::TensorOf(values); }

sampler::PastColumns PastOf(std::vector<int64_t> items, std::vector<int64_t> slots,
                            std::vector<int64_t> kept_columns, std::vector<int64_t> kept_slots) {
  return {Ints(std::move(items)), Ints(std::move(slots)), Ints(std::move(kept_columns)),
          Ints(std::move(kept_slots))};
}

TEST(PastVectorsTest, GivesBackWhatWasKept) {
  at::manual_seed(1);
  PastVectors past(5, kDim, kernels::Device::Cpu());
  const at::Tensor v = at::randn({3, kDim}), w = at::randn({2, kDim});
  past.Keep(v, PastOf({}, {}, {2, 0, 2}, {4, 0, 1}), {});
  past.Keep(w, PastOf({7}, {4}, {1}, {0}), {});
  const at::Tensor all = past.Behind(w, PastOf({7, 8, 9}, {1, 0, 4}, {}, {}));
  EXPECT_TRUE(at::equal(all, at::stack({w[0], w[1], v[2], w[1], v[2]})));
}

TEST(PastVectorsTest, WithoutPastColumnsNothingIsCopied) {
  const at::Tensor v = at::randn({3, kDim});
  EXPECT_TRUE(PastVectors(0, kDim, kernels::Device::Cpu()).Behind(v, {}).is_same(v));
  EXPECT_TRUE(
      PastVectors(2, kDim, kernels::Device::Cpu()).Behind(v, PastOf({}, {}, {}, {})).is_same(v));
}

TEST(PastVectorsTest, AStepThatChangesNothingIsNotKept) {
  PastVectors past(1, kDim, kernels::Device::Cpu());
  const at::Tensor v = at::ones({1, kDim}), none = at::empty({0, kDim});
  past.Keep(v, PastOf({}, {}, {0}, {0}), at::ones({1}, at::kBool));
  past.Keep(v * NAN, PastOf({}, {}, {0}, {0}), at::zeros({1}, at::kBool));
  EXPECT_TRUE(at::equal(past.Behind(none, PastOf({7}, {0}, {}, {})), v));
}

// Two rows against two columns of the step and two of the past.
TEST(PastVectorsTest, TheLossScoresThemAndLeavesThemAlone) {
  at::manual_seed(2);
  PastVectors past(3, kDim, kernels::Device::Cpu());
  const at::Tensor q = at::randn({2, kDim}), v = at::randn({2, kDim}), old = at::randn({2, kDim});
  past.Keep(old, PastOf({}, {}, {0, 1}, {2, 0}), {});

  StepPlan plan;
  plan.queries.rows = RowGroups::OneEach(2);
  plan.batch.weights = {1, 3};
  plan.candidates.rows = Ints({4, 6});
  plan.candidates.positive = Ints({1, 0});
  plan.candidates.past = PastOf({8, 9}, {0, 2}, {}, {});
  plan.candidates.weight_sum = 4;
  ColumnFacts& facts = plan.candidates.facts;
  facts.sources = {"in_batch", "queue"};
  facts.draws = {1, 5};
  facts.corpus_items = 10;
  facts.multiplicity = at::tensor({1, 1, 0, 0, 2, 0, 1, 2}, at::kInt).view({2, 4});
  facts.expected = at::tensor({.5, .25, .5, .25, 2.5, 1.25, 2.5, 1.25}, at::kDouble).view({2, 4});

  plan.loss = PlanLoss(plan.candidates, plan.batch.weights, kernels::Device::Cpu());

  model::ModelConfig config;
  config.set_dim(kDim);
  model::SideShape side{.rows = 10, .features = {}};
  const auto net = model::Net::Create(config, side, side, 1, kernels::Device::Cpu());
  ASSERT_TRUE(net.ok()) << net.status();
  const auto loss = model::MakeLoss(config.loss(), kernels::Device::Cpu());
  const model::LossInput input =
      LossInputOf(plan, q, v, past, (*net)->scorer(), kernels::Device::Cpu());
  EXPECT_TRUE(at::equal(input.items, Ints({4, 6, 8, 9})));
  model::LossResult result;
  torii::testing::RunOnRanks(1, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(result, LossOverRanks(comm, *loss, plan, input));
    return absl::OkStatus();
  });

  at::Tensor q64 = input.q.to(at::kDouble).detach().requires_grad_();
  at::Tensor v64 = v.to(at::kDouble).requires_grad_();
  const at::Tensor all =
      at::cat({v64, old[1].to(at::kDouble).unsqueeze(0), old[0].to(at::kDouble).unsqueeze(0)});
  const at::Tensor offset =
      at::log(facts.multiplicity.sum(0).to(at::kDouble)) - at::log(facts.expected.sum(0));
  const at::Tensor scores = at::matmul(q64, all.t()) / (*net)->scorer()->divisor();
  at::Tensor want = at::zeros({}, at::kDouble);
  for (int64_t i = 0; i < 2; ++i) {
    at::Tensor logits = scores[i] + offset;
    const int64_t own = 1 - i;
    const at::Tensor others = at::cat({logits.slice(0, 0, own), logits.slice(0, own + 1)});
    const at::Tensor denominator = at::logsumexp(at::cat({others, scores[i][own].view({1})}), 0);
    want = want + (i == 0 ? 0.25 : 0.75) * (denominator - scores[i][own]);
  }
  want.backward();
  EXPECT_NEAR(result.value.item<double>(), want.item<double>(), 1e-5);
  EXPECT_TRUE(at::allclose(result.v_grad.to(at::kDouble), v64.grad(), 1e-4, 1e-6))
      << result.v_grad << v64.grad();
}

}  // namespace
}  // namespace torii::trainer
