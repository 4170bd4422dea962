#include "kernels/table_rows.h"

#include <ATen/ATen.h>

#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/host_tensors.h"
#include "kernels/random_rows.h"
#include "kernels/touched_rows.h"

namespace torii::kernels {
namespace {

const Device kCpu = Device::Cpu(), kComposed = Device::Composed();

at::Tensor Normals(int64_t rows, int64_t dim, const char* purpose) {
  at::Tensor out = at::empty({rows, dim}, at::kFloat);
  FillNormalRows(kCpu, RandomStream(5, purpose), 0, 1, 1, out);
  return out;
}

std::vector<int64_t> Slots(int64_t n, int64_t bound, const char* purpose) {
  std::vector<int64_t> slots;
  for (int64_t i = 0; i < n; ++i) {
    slots.push_back(RandomStream(5, purpose).Below(static_cast<uint64_t>(i), bound));
  }
  return slots;
}

// Memory with the state behind each row, as tables have it, and one number a row beside.
struct Table {
  explicit Table(OptimizerRule rule, int64_t slots, int64_t dim) {
    const int64_t parts = rule == OptimizerRule::kAdam                                          ? 3
                          : rule == OptimizerRule::kAdagrad || rule == OptimizerRule::kMomentum ? 2
                                                                                                : 1;
    memory = Normals(slots, parts * dim, "memory").abs();
    beside = Normals(slots, 1, "beside").abs();
    rows.weight = memory.narrow(1, 0, dim);
    for (int64_t part = 1; part < parts; ++part) {
      rows.state.push_back(memory.narrow(1, part * dim, dim));
    }
    if (rule == OptimizerRule::kRowwiseAdagrad) rows.state.push_back(beside);
  }
  at::Tensor memory, beside;
  TableRows rows;
};

TEST(TableRowsTest, TheComposedUpdateEqualsTheKernel) {
  constexpr int64_t kSlots = 40, kDim = 5;
  for (const OptimizerRule rule :
       {OptimizerRule::kSgd, OptimizerRule::kMomentum, OptimizerRule::kRowwiseAdagrad,
        OptimizerRule::kAdagrad, OptimizerRule::kAdam}) {
    for (const double decay : {0.0, 0.1}) {
      const OptimizerStep step = StepOf({.rule = rule,
                                         .learning_rate = 0.1,
                                         .epsilon = 1e-8,
                                         .beta1 = 0.9,
                                         .beta2 = 0.99,
                                         .momentum = 0.5,
                                         .decay = decay},
                                        1, 2, BiasCorrection::kInMoments);
      Table fast(rule, 25, kDim), slow(rule, 25, kDim);
      const std::vector<int64_t> first = Slots(60, kSlots, "a"), second = Slots(7, kSlots, "b");
      const TouchedRows::Gradients pieces[] = {{Normals(60, kDim, "g"), 0},
                                               {Normals(10, kDim, "h"), 3}};
      for (const auto& [device, table] : {std::pair(kCpu, &fast), std::pair(kComposed, &slow)}) {
        TouchedRows touched;
        touched.Add(first);
        touched.Add(second);
        touched.Group(kSlots, device);
        // The table has the slots 10 to 35 of those.
        UpdateRows(device, step, table->rows, touched.GradientsOf(device, pieces).Between(10, 35),
                   10);
      }
      EXPECT_TRUE(at::allclose(fast.memory, slow.memory, 1e-5, 1e-5)) << static_cast<int>(rule);
      EXPECT_TRUE(at::allclose(fast.beside, slow.beside, 1e-5, 1e-5)) << static_cast<int>(rule);
      EXPECT_FALSE(at::equal(fast.memory, Table(rule, 25, kDim).memory));
    }
  }
}

TEST(TableRowsTest, NothingTouchedChangesNothing) {
  for (const Device& device : {kCpu, kComposed}) {
    Table table(OptimizerRule::kAdagrad, 3, 4);
    TouchedRows touched;
    touched.Group(3, device);
    UpdateRows(device, StepOf({.rule = OptimizerRule::kAdagrad}, 1, 0, BiasCorrection::kInMoments),
               table.rows, touched.GradientsOf(device, {}), 0);
    EXPECT_TRUE(at::equal(table.memory, Table(OptimizerRule::kAdagrad, 3, 4).memory));
  }
}

TEST(TableRowsTest, GathersRowsThatLieApart) {
  const at::Tensor memory = Normals(20, 9, "memory"), table = memory.narrow(1, 2, 4);
  for (const int64_t count : {0, 1, 33}) {
    const std::vector<int64_t> slots = Slots(count, 20, "slots");
    for (const Device& device : {kCpu, kComposed}) {
      const at::Tensor out = at::full({count, 4}, -1.0, at::kFloat);
      GatherRows(device, table, TensorOf(slots), out);
      EXPECT_TRUE(at::equal(out, table.index_select(0, TensorOf(slots)))) << device.name();
    }
  }
}

}  // namespace
}  // namespace torii::kernels
