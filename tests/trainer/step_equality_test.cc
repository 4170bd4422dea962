// I1 with the optimizers as users have them: from the state that one rank has, each step on W ranks
// gives what one rank gets, but for what the optimizer makes of the rounding of a gradient.

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/run_on_ranks.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"
#include "tests/support/update_bound.h"

namespace torii {
namespace {

using sharding::TableConfig;
using testing::FakeDataset;
using testing::SmallRun;
using testing::SmallTraining;
using testing::TensorMap;
using testing::UpdateRule;
using testing::WeightState;
using trainer::DenseOptimizerConfig;

// A gradient is a sum over the rows and columns of a step: 32 + 38 at most, rounded at each.
constexpr double kNoise = 70 * testing::kFloat32Rounding;

// What one rank has before each step, and the loss of the step.
struct Path {
  std::vector<TensorMap> states;
  std::vector<double> losses;
};

Path PathOfOneRank(const FakeDataset& dataset, const SmallRun& run) {
  Path path;
  testing::RunOnRanks(1, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto training, SmallTraining::Create(comm, dataset, run));
    for (int64_t step = 0; step <= run.steps; ++step) {
      TORII_ASSIGN_OR_RETURN(path.states.emplace_back(), training->State());
      if (step == run.steps) break;
      TORII_ASSIGN_OR_RETURN(path.losses.emplace_back(), training->Step(step));
    }
    return absl::OkStatus();
  });
  return path;
}

UpdateRule RuleOfTables(const TableConfig& config) {
  UpdateRule rule{.learning_rate = config.learning_rate(),
                  .epsilon = config.epsilon(),
                  .beta1 = config.beta1(),
                  .beta2 = config.beta2()};
  switch (config.optimizer()) {
    case TableConfig::SGD:
      rule.kind = UpdateRule::kSgd;
      break;
    case TableConfig::ADAGRAD:
      rule.kind = UpdateRule::kAdagrad;
      break;
    case TableConfig::ROWWISE_ADAGRAD:
      rule.kind = UpdateRule::kRowwiseAdagrad;
      break;
    case TableConfig::ADAM:
      rule.kind = UpdateRule::kAdam;
      break;
  }
  return rule;
}

UpdateRule RuleOfDense(const DenseOptimizerConfig& config) {
  UpdateRule rule{.learning_rate = config.learning_rate(),
                  .epsilon = config.epsilon(),
                  .beta1 = config.beta1(),
                  .beta2 = config.beta2()};
  switch (config.kind()) {
    case DenseOptimizerConfig::SGD:
      rule.kind = UpdateRule::kSgd;
      break;
    case DenseOptimizerConfig::ADAGRAD:
      rule.kind = UpdateRule::kAdagrad;
      break;
    case DenseOptimizerConfig::ADAM:
    case DenseOptimizerConfig::ADAMW:
      rule.kind = UpdateRule::kAdam;
      break;
  }
  return rule;
}

// The weight tensor `name` ("dense" or "<table>.weight") with the optimizer's, in float64.
WeightState StateOf(const TensorMap& state, const std::string& name) {
  const std::string prefix =
      name == "dense" ? "dense_optimizer." : std::string(absl::StripSuffix(name, "weight"));
  WeightState result;
  result.weight = state.at(name).to(at::kDouble);
  for (const auto& [other, tensor] : state) {
    if (!absl::StartsWith(other, prefix) || other == name) continue;
    const bool first = absl::EndsWith(other, ".first") || absl::EndsWith(other, ".m");
    (first ? result.first : result.second) = tensor.to(at::kDouble);
  }
  return result;
}

// How W ranks' steps lie in their bounds.
struct Deviation {
  double most_used = 0;  // of a bound: above 1 it is broken
  std::string where;     // that was
  int64_t changed = 0;   // weights
  int64_t loose = 0;     // of them with a bound above a hundredth of the learning rate

  void Compare(const at::Tensor& got, const at::Tensor& want, const at::Tensor& bound,
               const std::string& place) {
    if (!want.defined()) return;
    const double used = ((got - want).abs() / bound.clamp_min(1e-300)).max().item<double>();
    if (!(used <= most_used)) most_used = used, where = place;
  }
};

void CompareStep(const SmallRun& run, const TensorMap& before, const TensorMap& want,
                 const TensorMap& got, int64_t step, Deviation* deviation) {
  for (const auto& [name, weight] : want) {
    const bool dense = name == "dense";
    if ((!dense && !absl::EndsWith(name, ".weight")) || weight.numel() == 0) continue;
    const UpdateRule rule = dense ? RuleOfDense(run.dense) : RuleOfTables(run.model.tables);
    const WeightState from = StateOf(before, name), to = StateOf(want, name),
                      other = StateOf(got, name);
    const testing::StepBounds bounds = testing::BoundsOfStep(rule, from, to, step, kNoise);
    const std::string place = absl::StrCat("step ", step, ", ", name);
    deviation->Compare(other.weight, to.weight, bounds.weight, place);
    deviation->Compare(other.first, to.first, bounds.first, place + ", first moment");
    deviation->Compare(other.second, to.second, bounds.second, place + ", second moment");
    const at::Tensor changed = to.weight != from.weight;
    deviation->changed += changed.sum().item<int64_t>();
    deviation->loose +=
        (changed & (bounds.weight > 0.01 * rule.learning_rate)).sum().item<int64_t>();
  }
}

// Each step of `run` on `world` ranks from the states of `path`, which is that of `reference`.
Deviation CompareSteps(const FakeDataset& dataset, int world, const SmallRun& run, const Path& path,
                       const SmallRun& reference) {
  Deviation deviation;
  testing::RunOnRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto training, SmallTraining::Create(comm, dataset, run));
    for (int64_t step = 0; step < run.steps; ++step) {
      const auto s = static_cast<size_t>(step);
      training->Load(path.states[s]);
      TORII_ASSIGN_OR_RETURN(const double loss, training->Step(step));
      TORII_ASSIGN_OR_RETURN(const TensorMap after, training->State());
      if (comm.rank() != 0) continue;
      EXPECT_NEAR(loss, path.losses[s], 1e-5 * std::abs(path.losses[s])) << "step " << step;
      CompareStep(reference, path.states[s], path.states[s + 1], after, step, &deviation);
    }
    return absl::OkStatus();
  });
  return deviation;
}

TEST(StepEqualityTest, EachStepOfAStockRunIsThatOfOneRank) {
  const FakeDataset dataset(testing::SmallData());
  for (const auto& [name, run] : testing::StockRuns()) {
    const Path path = PathOfOneRank(dataset, run);
    for (const int world : {2, 3, 4}) {
      SCOPED_TRACE(absl::StrCat(name, ", ", world, " ranks"));
      const Deviation deviation = CompareSteps(dataset, world, run, path, run);
      EXPECT_LE(deviation.most_used, 1.0) << deviation.where;
      EXPECT_GT(deviation.changed, 10000);
      EXPECT_LT(deviation.loose, deviation.changed / 500);
    }
  }
}

// The bounds are narrow: a learning rate that is wrong by a ten-thousandth breaks them.
TEST(StepEqualityTest, TellsASlightlyDifferentStep) {
  const FakeDataset dataset(testing::SmallData());
  for (const auto& [name, run] : testing::StockRuns()) {
    const Path path = PathOfOneRank(dataset, run);
    SmallRun other = run;
    other.model.tables.set_learning_rate(1.0001 * run.model.tables.learning_rate());
    EXPECT_GT(CompareSteps(dataset, 2, other, path, run).most_used, 1.0) << name << ", tables";
    if (!path.states[0].contains("dense")) continue;
    other = run;
    other.dense.set_learning_rate(1.0001 * run.dense.learning_rate());
    EXPECT_GT(CompareSteps(dataset, 2, other, path, run).most_used, 1.0) << name << ", dense";
  }
}

}  // namespace
}  // namespace torii
