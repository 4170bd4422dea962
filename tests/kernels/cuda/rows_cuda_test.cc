// Rows of tables by the kernels of a GPU, against the CPU's.
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/table_rows.h"
#include "kernels/touched_rows.h"
#include "tests/kernels/cuda/cuda_support.h"

namespace torii::kernels::cuda {
namespace {

class RowsCudaTest : public CudaTest {};

constexpr OptimizerRule kRules[] = {OptimizerRule::kSgd, OptimizerRule::kMomentum,
                                    OptimizerRule::kRowwiseAdagrad, OptimizerRule::kAdagrad,
                                    OptimizerRule::kAdam};

TEST_F(RowsCudaTest, GathersTheRowsOfSlotsWhateverTheirWidthAndStride) {
  for (const int64_t dim : {1, 5, 16, 31, 64, 129, 300}) {
    for (const int64_t apart : {int64_t{0}, int64_t{3}, int64_t{4}}) {
      const at::Tensor table =
          There(Normals({50, dim + apart}, "table")).slice(1, apart, apart + dim);
      for (const int64_t count : {0, 1, 31, 129}) {
        const std::vector<int64_t> slots = ListOf<int64_t>(SkewedIndices(count, 50, "slots"));
        at::Tensor out = There(at::full({count, dim}, -1.0, at::kFloat));
        GatherRows(Gpu(), table, TensorOf(slots, Gpu()), out);
        EXPECT_TRUE(at::equal(Back(out), Back(table).index_select(0, TensorOf(slots))));
      }
    }
  }
}

// A table with its state, and gradient rows for some of its slots.
struct Problem {
  Problem(const Device& where, OptimizerRule rule, int64_t dim, const std::vector<int64_t>& of_row,
          double decay)
      : device(where) {
    const bool is_rowwise = rule == OptimizerRule::kRowwiseAdagrad;
    const int64_t parts = rule == OptimizerRule::kSgd ? 0 : rule == OptimizerRule::kAdam ? 2 : 1;
    memory =
        Normals({kSlots, (1 + (is_rowwise ? 0 : parts)) * dim}, "table").abs().to(device.torch());
    table.weight = memory.slice(1, 0, dim);
    rowwise = Normals({kSlots, 1}, "rowwise").abs().to(device.torch());
    for (int64_t p = 0; p < parts; ++p) {
      table.state.push_back(is_rowwise ? rowwise : memory.slice(1, (1 + p) * dim, (2 + p) * dim));
    }
    // Row r has of_row[r] gradients, which lie scattered over the list of all.
    for (size_t r = 0; r < of_row.size(); ++r) {
      slots.insert(slots.end(), static_cast<size_t>(of_row[r]),
                   kFirstSlot + static_cast<int64_t>(r) * 3 + 1);
    }
    std::vector<int64_t> scattered(slots.size());
    for (size_t i = 0; i < slots.size(); ++i) scattered[i * 7919 % slots.size()] = slots[i];
    slots = scattered;
    gradients = Normals({std::ssize(slots), dim}, "gradients").to(device.torch());
    step = StepOf({.rule = rule,
                   .learning_rate = 0.1,
                   .epsilon = 1e-6,
                   .beta1 = 0.9,
                   .beta2 = 0.99,
                   .momentum = 0.7,
                   .decay = decay},
                  1, 1, BiasCorrection::kInMoments);
  }

  void Update() {
    TouchedRows touched;
    touched.Add(slots);
    touched.Group(1000, device);
    std::vector<TouchedRows::Gradients> pieces;
    if (!slots.empty()) pieces.push_back({gradients, 0});
    UpdateRows(device, step, table, touched.GradientsOf(device, pieces), kFirstSlot);
  }

  static constexpr int64_t kSlots = 40, kFirstSlot = 17;
  Device device;
  at::Tensor memory, rowwise, gradients;
  TableRows table;
  std::vector<int64_t> slots;
  OptimizerStep step;
};

void ExpectSameUpdate(const Device& device, OptimizerRule rule, int64_t dim,
                      const std::vector<int64_t>& of_row, double decay, double bound) {
  Problem want(kCpu, rule, dim, of_row, decay), got(device, rule, dim, of_row, decay);
  want.Update();
  got.Update();
  ExpectNear(got.memory, want.memory, bound, "table");
  ExpectNear(got.rowwise, want.rowwise, bound, "row-wise state");
}

TEST_F(RowsCudaTest, UpdatesEqualTheCpusForEveryRuleAndWidth) {
  InBothOrders([] {
    for (const OptimizerRule rule : kRules) {
      for (const int64_t dim : {1, 31, 64, 129, 132}) {
        for (const double decay : {0.0, 0.01}) {
          ExpectSameUpdate(Gpu(), rule, dim, {1, 2, 16, 1, 17, 1}, decay, 2e-6);
        }
      }
    }
  });
}

TEST_F(RowsCudaTest, RunsOfAnyLengthAreSummed) {
  for (const OptimizerRule rule : {OptimizerRule::kSgd, OptimizerRule::kRowwiseAdagrad}) {
    for (const int64_t dim : {8, 9}) {
      ExpectSameUpdate(Gpu(), rule, dim, {}, 0, 0);
      ExpectSameUpdate(Gpu(), rule, dim, {1}, 0, 2e-6);
      ExpectSameUpdate(Gpu(), rule, dim, {64}, 0, 2e-5);
      ExpectSameUpdate(Gpu(), rule, dim, {65, 1, 64, 128, 129, 63, 1, 192, 65, 65}, 0, 2e-4);
      ExpectSameUpdate(Gpu(), rule, dim, {3, 5000, 2, 640}, 0, 1e-3);
    }
  }
}

// The bits of a row do not depend on the rows beside it, chunked or not.
TEST_F(RowsCudaTest, ARowDependsOnItsOwnGradientsAlone) {
  const std::vector<int64_t> slots(200, 5);
  const at::Tensor gradients = Normals({200, 12}, "gradients");
  at::Tensor alone;
  for (const size_t before : {0, 1, 63, 64, 100}) {
    std::vector<int64_t> all(before, 2);
    all.insert(all.end(), slots.begin(), slots.end());
    TouchedRows touched;
    touched.Add(all);
    touched.Group(10, Gpu());
    const at::Tensor rows =
        There(at::cat({Normals({static_cast<int64_t>(before), 12}, "others"), gradients}));
    const TableRows table{There(Normals({10, 12}, "table")), {}};
    UpdateRows(Gpu(), StepOf({.learning_rate = 0.1}, 1, 0, BiasCorrection::kInMoments), table,
               touched.GradientsOf(Gpu(), std::vector<TouchedRows::Gradients>{{rows, 0}}), 0);
    if (before == 0) alone = table.weight[5].clone();
    EXPECT_TRUE(at::equal(table.weight[5], alone)) << before;
  }
}

TEST_F(RowsCudaTest, BehindAClosedGateNoRowChanges) {
  for (const OptimizerRule rule : kRules) {
    for (const bool is_open : {false, true}) {
      Problem p(Gpu(), rule, 8, {1, 200, 3}, 0);
      const at::Tensor before = p.memory.clone(), rowwise_before = p.rowwise.clone();
      const at::Tensor gate = There(at::full({1}, is_open, at::kBool));
      TouchedRows touched;
      touched.Add(p.slots);
      touched.Group(1000, Gpu());
      const RowGradients gradients =
          touched.GradientsOf(Gpu(), std::vector<TouchedRows::Gradients>{{p.gradients, 0}});
      const bool has_state = !p.table.state.empty();
      Gpu().kernels().update_rows(
          {.step = p.step,
           .dim = 8,
           .stride = p.table.weight.stride(0),
           .first_slot = Problem::kFirstSlot,
           .weights = p.table.weight.mutable_data_ptr<float>(),
           .state = has_state ? p.table.state[0].mutable_data_ptr<float>() : nullptr,
           .state_stride = has_state ? p.table.state[0].stride(0) : 0,
           .gate = gate.const_data_ptr<bool>()},
          gradients.list);
      EXPECT_NE(at::equal(p.memory, before), is_open);
      EXPECT_TRUE(is_open || at::equal(p.rowwise, rowwise_before));
    }
  }
}

TEST_F(RowsCudaTest, APartOfTheRowsIsUpdatedAlone) {
  Problem whole(Gpu(), OptimizerRule::kAdam, 8, {3, 200, 70, 1, 90}, 0), parts = whole;
  parts.memory = whole.memory.clone();
  parts.table.weight = parts.memory.slice(1, 0, 8);
  parts.table.state = {parts.memory.slice(1, 8, 16), parts.memory.slice(1, 16, 24)};
  whole.Update();
  TouchedRows touched;
  touched.Add(parts.slots);
  touched.Group(1000, Gpu());
  const RowGradients gradients =
      touched.GradientsOf(Gpu(), std::vector<TouchedRows::Gradients>{{parts.gradients, 0}});
  for (const auto& [from, to] : {std::pair{20, 26}, std::pair{0, 20}, std::pair{26, 1000}}) {
    UpdateRows(Gpu(), parts.step, parts.table, gradients.Between(from, to), Problem::kFirstSlot);
  }
  EXPECT_TRUE(at::equal(parts.memory, whole.memory));
}

}  // namespace
}  // namespace torii::kernels::cuda
