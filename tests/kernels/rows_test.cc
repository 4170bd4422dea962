#include "kernels/cpu/rows.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/cpu/aligned_floats.h"
#include "kernels/cpu/variants.h"
#include "kernels/optimizer_step.h"

namespace torii::kernels::cpu {
namespace {

std::vector<float> Normals(int64_t count, const std::string& name) {
  std::vector<float> values(static_cast<size_t>(count));
  RandomStream(4, name).NormalRow(0, values);
  return values;
}

// A table of rows with their state behind them, and gradients for some of its rows.
struct Case {
  Case(OptimizerRule rule, int64_t dim, double decay) {
    const bool has_state_row = rule == OptimizerRule::kAdagrad || rule == OptimizerRule::kMomentum;
    width = rule == OptimizerRule::kAdam ? 3 : has_state_row ? 2 : 1;
    step = {.step = StepOf({.rule = rule,
                            .learning_rate = 0.1,
                            .epsilon = 1e-6,
                            .beta1 = 0.9,
                            .beta2 = 0.99,
                            .momentum = 0.7,
                            .decay = decay},
                           /*factor=*/1, /*step=*/1, BiasCorrection::kInMoments),
            .dim = dim,
            .stride = width * dim,
            .weights = nullptr,
            .state = nullptr,
            .state_stride = rule == OptimizerRule::kRowwiseAdagrad ? 1 : width * dim};
    table = Normals(kSlots * width * dim, "table");
    for (int64_t slot = 0; slot < kSlots; ++slot) {  // the second moments and sums of squares
      for (int64_t d = rule == OptimizerRule::kAdam ? 2 * dim : dim; d < width * dim; ++d) {
        float& h = table[static_cast<size_t>(slot * width * dim + d)];
        h *= h;
      }
    }
    rowwise = Normals(kSlots, "rowwise");
    for (float& h : rowwise) h *= h;
    for (uint32_t slot = 1; slot < kSlots; slot += 1 + slot % 3) {
      slots.push_back(slot);
      begin.push_back(total);
      total += std::vector<uint32_t>{1, 2, 16, 17, 100, 1}[slot % 6];
    }
    begin.push_back(total);
    gradient_values = Normals(total * dim, "gradients");
    for (uint32_t e = 0; e < total; ++e) {  // scattered
      gradients.push_back(gradient_values.data() + (e * 7919 % total) * dim);
    }
  }

  void Run(const RowsVariant& variant, int64_t from, int64_t to) {
    step.weights = table.data();
    step.state = step.step.rule == OptimizerRule::kSgd              ? nullptr
                 : step.step.rule == OptimizerRule::kRowwiseAdagrad ? rowwise.data()
                                                                    : table.data() + step.dim;
    if (step.step.rule == OptimizerRule::kSgd) step.state_stride = 0;
    const AlignedFloats sum = MakeAlignedFloats(step.dim);
    variant.update(step, {rows(), slots.data(), begin.data(), gradients.data()}, from, to,
                   sum.get());
  }
  int64_t rows() const { return std::ssize(slots); }

  static constexpr int64_t kSlots = 83;
  RowStep step;
  int64_t width;
  std::vector<float> table, rowwise, gradient_values;
  std::vector<uint32_t> slots, begin;
  std::vector<const float*> gradients;
  uint32_t total = 0;
};

// What the step makes of the floats of one row [width * dim] and of its row-wise state, in float64.
void Reference(const Case& c, size_t i, std::vector<double>* row, double* h) {
  const OptimizerStep& s = c.step.step;
  const auto dim = static_cast<size_t>(c.step.dim);
  std::vector<double> g(dim, 0);
  double mean_square = 0;
  for (size_t d = 0; d < dim; ++d) {
    for (uint32_t e = c.begin[i]; e < c.begin[i + 1]; ++e) g[d] += c.gradients[e][d];
    g[d] += static_cast<double>(s.l2) * (*row)[d];
    mean_square += g[d] * g[d] / static_cast<double>(dim);
  }
  if (s.rule == OptimizerRule::kRowwiseAdagrad) *h += mean_square;
  for (size_t d = 0; d < dim; ++d) {
    double change = g[d];
    if (s.rule == OptimizerRule::kRowwiseAdagrad) change /= std::sqrt(*h) + s.epsilon;
    if (s.rule == OptimizerRule::kMomentum) {
      double& m = (*row)[dim + d];
      change = m = static_cast<double>(s.momentum) * m + g[d];
    }
    if (s.rule == OptimizerRule::kAdagrad) {
      (*row)[dim + d] += g[d] * g[d];
      change /= std::sqrt((*row)[dim + d]) + s.epsilon;
    }
    if (s.rule == OptimizerRule::kAdam) {
      double &m = (*row)[dim + d], &v = (*row)[2 * dim + d];
      m = s.beta1 * m + (1 - static_cast<double>(s.beta1)) * g[d];
      v = s.beta2 * v + (1 - static_cast<double>(s.beta2)) * g[d] * g[d];
      change = m * s.unbias1 / (std::sqrt(v * s.unbias2) + s.epsilon);
    }
    (*row)[d] -= s.learning_rate * change;
  }
}

constexpr OptimizerRule kRules[] = {OptimizerRule::kSgd, OptimizerRule::kMomentum,
                                    OptimizerRule::kRowwiseAdagrad, OptimizerRule::kAdagrad,
                                    OptimizerRule::kAdam};

TEST(RowsTest, UpdatesFollowTheFloat64Reference) {
  for (const RowsVariant* variant : RunnableRowsVariants()) {
    for (const OptimizerRule rule : kRules) {
      for (const int64_t dim : {1, 5, 16, 31, 32, 64, 67, 128}) {
        for (const double decay : {0.0, 0.01}) {
          Case c(rule, dim, decay);
          const std::vector<float> before = c.table, rowwise_before = c.rowwise;
          c.Run(*variant, 0, c.rows());
          std::vector<float> expected_untouched = before;
          for (size_t i = 0; i < c.slots.size(); ++i) {
            const auto at = static_cast<int64_t>(c.slots[i]) * c.width * dim;
            std::vector<double> row(before.begin() + at, before.begin() + at + c.width * dim);
            double h = rowwise_before[c.slots[i]];
            Reference(c, i, &row, &h);
            for (int64_t d = 0; d < c.width * dim; ++d) {
              const double expected = row[static_cast<size_t>(d)];
              const float got = c.table[static_cast<size_t>(at + d)];
              ASSERT_NEAR(got, expected, 2e-5 * (1 + std::abs(expected)))
                  << variant->name << " rule " << static_cast<int>(rule) << " dim " << dim
                  << " float " << d << " of row " << i;
              expected_untouched[static_cast<size_t>(at + d)] = got;
            }
            if (rule == OptimizerRule::kRowwiseAdagrad) {
              ASSERT_NEAR(c.rowwise[c.slots[i]], h, 2e-5 * (1 + h));
            }
          }
          EXPECT_EQ(c.table, expected_untouched) << "other rows stay as they are";
        }
      }
    }
  }
}

TEST(RowsTest, PiecesGiveTheBitsOfTheWhole) {
  for (const RowsVariant* variant : RunnableRowsVariants()) {
    for (const OptimizerRule rule : kRules) {
      Case whole(rule, 37, 0), pieces(rule, 37, 0);
      whole.Run(*variant, 0, whole.rows());
      pieces.Run(*variant, 9, pieces.rows());
      pieces.Run(*variant, 4, 4);
      pieces.Run(*variant, 0, 9);
      EXPECT_EQ(whole.table, pieces.table) << variant->name;
      EXPECT_EQ(whole.rowwise, pieces.rowwise) << variant->name;
    }
  }
}

TEST(RowsTest, ANaNStaysInItsRow) {
  for (const RowsVariant* variant : RunnableRowsVariants()) {
    for (const OptimizerRule rule : kRules) {
      Case c(rule, 20, 0);
      std::vector<float> bad(20, 1.0f);
      bad[3] = std::numeric_limits<float>::quiet_NaN();
      bad[4] = std::numeric_limits<float>::max();
      c.gradients[c.begin[2]] = bad.data();
      c.Run(*variant, 0, c.rows());
      for (int64_t f = 0; f < std::ssize(c.table); ++f) {
        const bool in_row = f / (c.width * 20) == static_cast<int64_t>(c.slots[2]);
        if (in_row) continue;
        ASSERT_TRUE(std::isfinite(c.table[static_cast<size_t>(f)])) << f;
      }
      EXPECT_TRUE(std::isnan(c.table[c.slots[2] * static_cast<size_t>(c.width) * 20 + 3]));
    }
  }
}

TEST(RowsTest, GathersRowsOfAnyStride) {
  for (const RowsVariant* variant : RunnableRowsVariants()) {
    for (const int64_t dim : {1, 5, 16, 32, 48, 64, 67, 128}) {
      for (const int64_t stride : {dim, 3 * dim + 1}) {
        const std::vector<float> rows = Normals(50 * stride, "rows");
        for (const int64_t count : {0, 1, 7, 200}) {
          std::vector<int64_t> slots;
          for (int64_t i = 0; i < count; ++i) slots.push_back(i * i * 31 % 50);
          for (const bool past_cache : {false, true}) {
            for (const int64_t shift : {0, 1}) {  // on a line's start or not
              const AlignedFloats memory = MakeAlignedFloats(count * dim + 2, -1);
              float* out = memory.get() + shift;
              variant->gather(rows.data(), stride, slots.data(), count, dim, out, past_cache);
              for (int64_t f = 0; f < count * dim; ++f) {
                const int64_t slot = slots[static_cast<size_t>(f / dim)];
                ASSERT_EQ(out[f], rows[static_cast<size_t>(slot * stride + f % dim)]);
              }
              ASSERT_EQ(out[count * dim], -1) << "nothing behind the rows is written";
            }
          }
        }
      }
    }
  }
}

TEST(RowsTest, TheChosenVariantIsTheBestOne) {
  Case mine(OptimizerRule::kAdam, 64, 0), chosen(OptimizerRule::kAdam, 64, 0);
  mine.Run(*RunnableRowsVariants().front(), 0, mine.rows());
  chosen.step.weights = chosen.table.data();
  chosen.step.state = chosen.table.data() + chosen.step.dim;
  UpdateRows(chosen.step,
             {chosen.rows(), chosen.slots.data(), chosen.begin.data(), chosen.gradients.data()}, 0,
             chosen.rows());
  EXPECT_EQ(mine.table, chosen.table);
}

}  // namespace
}  // namespace torii::kernels::cpu
