#include "kernels/update_gate.h"

#include <ATen/ATen.h>

#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/dense_weights.h"
#include "kernels/table_rows.h"
#include "kernels/touched_rows.h"

namespace torii::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<Device> Devices() { return {Device::Cpu(), Device::Composed()}; }

at::Tensor Number(double x) { return at::full({1}, x, at::kDouble); }

bool IsOpen(const at::Tensor& flag) { return flag.item<bool>(); }

TEST(UpdateGateTest, AnyNumberThatIsNotFiniteClosesItForGood) {
  for (const Device& device : Devices()) {
    for (const double bad : {kInfinity, -kInfinity, kNaN}) {
      for (const bool in_loss : {true, false}) {
        UpdateGate gate(device);
        EXPECT_TRUE(IsOpen(gate.CloseUnlessFinite(Number(1e308), Number(-1e308))));
        EXPECT_TRUE(IsOpen(gate.CloseUnlessFinite(Number(0), Number(0))));
        EXPECT_FALSE(
            IsOpen(gate.CloseUnlessFinite(Number(in_loss ? bad : 1), Number(in_loss ? 1 : bad))));
        EXPECT_FALSE(IsOpen(gate.CloseUnlessFinite(Number(1), Number(1)))) << device.name();
      }
    }
  }
}

OptimizerStep StepWith(OptimizerRule rule) {
  return StepOf({.rule = rule,
                 .learning_rate = 0.1,
                 .epsilon = 1e-8,
                 .beta1 = 0.9,
                 .beta2 = 0.99,
                 .momentum = 0.5,
                 .decay = 0.1},
                1, 2, BiasCorrection::kInMoments);
}

// A closed gate keeps every bit, an open one none from changing.
TEST(UpdateGateTest, ClosedItKeepsDenseWeightsAndTheirState) {
  for (const Device& device : Devices()) {
    for (const OptimizerRule rule : {OptimizerRule::kSgd, OptimizerRule::kMomentum,
                                     OptimizerRule::kAdagrad, OptimizerRule::kAdam}) {
      const auto updated = [&](const at::Tensor& flag) {
        const WeightTensors weights{at::full({7}, 0.5), at::full({7}, kNaN), at::ones({7}),
                                    at::full({7}, 0.2), at::full({7}, 0.25), flag};
        UpdateWeights(device, StepWith(rule), weights);
        return at::stack({weights.weight, weights.first, weights.second});
      };
      const at::Tensor was = at::tensor({0.5F, 0.2F, 0.25F}).view({3, 1}).expand({3, 7});
      EXPECT_TRUE(at::equal(updated(at::zeros({1}, at::kBool)), was)) << device.name();
      const at::Tensor open = updated(at::ones({1}, at::kBool)), none = updated({});
      EXPECT_TRUE(at::equal(at::nan_to_num(open), at::nan_to_num(none)));
      EXPECT_TRUE(at::isnan(open[0]).all().item<bool>()) << device.name();
    }
  }
}

TEST(UpdateGateTest, ClosedItKeepsRowsAndTheirState) {
  const std::vector<int64_t> slots = {2, 0, 2};
  for (const Device& device : Devices()) {
    for (const OptimizerRule rule :
         {OptimizerRule::kSgd, OptimizerRule::kMomentum, OptimizerRule::kRowwiseAdagrad,
          OptimizerRule::kAdagrad, OptimizerRule::kAdam}) {
      const auto updated = [&](const at::Tensor& flag) {
        const at::Tensor memory = at::full({4, 12}, 0.5);
        TableRows table{memory.narrow(1, 0, 4), {}};
        if (rule == OptimizerRule::kRowwiseAdagrad) table.state = {memory.narrow(1, 4, 1)};
        if (rule == OptimizerRule::kMomentum || rule == OptimizerRule::kAdagrad) {
          table.state = {memory.narrow(1, 4, 4)};
        }
        if (rule == OptimizerRule::kAdam) {
          table.state = {memory.narrow(1, 4, 4), memory.narrow(1, 8, 4)};
        }
        TouchedRows touched;
        touched.Add(slots);
        touched.Group(4, device);
        const TouchedRows::Gradients pieces[] = {{at::full({3, 4}, kInfinity), 0}};
        UpdateRows(device, StepWith(rule), table, touched.GradientsOf(device, pieces), 0, flag);
        return memory;
      };
      EXPECT_TRUE(at::equal(updated(at::zeros({1}, at::kBool)), at::full({4, 12}, 0.5)))
          << device.name();
      const at::Tensor open = updated(at::ones({1}, at::kBool)), none = updated({});
      EXPECT_TRUE(at::equal(at::nan_to_num(open), at::nan_to_num(none)));
      EXPECT_FALSE(at::equal(open, at::full({4, 12}, 0.5))) << device.name();
    }
  }
}

}  // namespace
}  // namespace torii::kernels
