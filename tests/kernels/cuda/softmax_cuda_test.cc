// The softmax loss by the kernels of a GPU, against the definition: fused in bfloat16, and from products
// in float32.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/softmax.h"
#include "tests/kernels/cuda/cuda_support.h"
#include "tests/kernels/softmax_support.h"

namespace torii::kernels::cuda {
namespace {

using cpu::Problem;
using cpu::Result;

template <class T>
std::vector<double> Doubles(const std::vector<T>& x) {
  return {x.begin(), x.end()};
}

class SoftmaxCudaTest : public CudaTest, public ::testing::WithParamInterface<SoftmaxPrecision> {
 protected:
  static Problem MakeProblem(int64_t b, int64_t u, int64_t dim, double inverse_temperature = 5.0) {
    const bool bf16 = GetParam() == SoftmaxPrecision::kBfloat16;
    return cpu::MakeProblem(b, u, dim, inverse_temperature,
                            bf16 ? *cpu::kSoftmaxBaselineBf16 : *cpu::kSoftmaxBaseline);
  }
  static Result Compute(const Problem& problem);
  static void ExpectEqualsTheDefinition(const Problem& problem) {
    cpu::ExpectEqualsReference(problem, Compute(problem));
  }
};

Result SoftmaxCudaTest::Compute(const Problem& p) {
  SoftmaxTensors t{.q = There(ViewOf(p.q).view({p.b, p.dim})),
                   .v = There(ViewOf(p.v).view({p.u, p.dim})),
                   .column_offset = There(ViewOf(p.column_offset)),
                   .row_begin = p.row_begin.empty() ? at::Tensor() : There(ViewOf(p.row_begin)),
                   .positive = There(ViewOf(p.positive)),
                   .positive_offset = There(ViewOf(p.positive_offset)),
                   .target_offset = There(ViewOf(p.target_offset)),
                   .weight = There(ViewOf(p.weight)),
                   .excluded_begin = {},
                   .excluded = {},
                   .inverse_temperature = p.inverse_temperature};
  if (!p.excluded_begin.empty()) {
    t.excluded_begin = There(ViewOf(p.excluded_begin));
    t.excluded = There(ViewOf(p.excluded));
  }
  const SoftmaxResults results{There(at::full({1}, 77.0, at::kDouble)),
                               There(at::full({p.rows()}, 77.0, at::kDouble)),
                               There(at::full({p.b, p.dim}, 77.0, at::kFloat)),
                               There(at::full({p.u, p.dim}, 77.0, at::kFloat))};
  Softmax(Gpu(), p.precision).Compute(t, results);
  Result out;
  out.row_loss = ListOf<double>(results.row_loss);
  out.q_grad = Doubles(ListOf<float>(results.q_grad));
  out.v_grad = Doubles(ListOf<float>(results.v_grad));
  double loss = 0;
  for (size_t n = 0; n < p.weight.size(); ++n) {
    loss += static_cast<double>(p.weight[n]) * out.row_loss[n];
  }
  const double sum = ListOf<double>(results.loss)[0];
  EXPECT_TRUE(!std::isfinite(loss) || std::fabs(sum - loss) <= 1e-12 * (1 + std::fabs(loss)))
      << sum << " instead of " << loss;
  return out;
}

INSTANTIATE_TEST_SUITE_P(Float32, SoftmaxCudaTest, ::testing::Values(SoftmaxPrecision::kFloat32));
INSTANTIATE_TEST_SUITE_P(Bfloat16, SoftmaxCudaTest, ::testing::Values(SoftmaxPrecision::kBfloat16));

TEST_P(SoftmaxCudaTest, EqualsTheDefinitionForAllSizes) {
  for (const int64_t dim : {1, 31, 64}) {
    for (const int64_t u : {1, 31, 129, 300}) {
      for (const int64_t b : {1, 31, 129}) {
        ExpectEqualsTheDefinition(MakeProblem(b, u, dim));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(SoftmaxCudaTest, WideVectorsEqualTheDefinition) {
  for (const int64_t dim : {65, 128, 129, 256}) ExpectEqualsTheDefinition(MakeProblem(33, 70, dim));
}

// More than the threads of a block keep in registers, and no whole vectors.
TEST_P(SoftmaxCudaTest, ManyColumnsEqualTheDefinition) {
  for (const int64_t u : {1023, 16384, 17001}) ExpectEqualsTheDefinition(MakeProblem(7, u, 3));
}

// More than one block of products has.
TEST_P(SoftmaxCudaTest, ManyQueriesEqualTheDefinition) {
  ExpectEqualsTheDefinition(MakeProblem(4099, 9, 2));
}

// Also that all passes leave the same bits.
TEST_P(SoftmaxCudaTest, TheOrderOfTheWarpsDoesNotMatter) {
  for (const Problem& problem : {MakeProblem(150, 200, 33), MakeProblem(20, 5001, 7)}) {
    const Result want = Compute(problem);
    InBothOrders([&] {
      const Result got = Compute(problem);
      EXPECT_EQ(got.row_loss, want.row_loss);
      EXPECT_EQ(got.q_grad, want.q_grad);
      EXPECT_EQ(got.v_grad, want.v_grad);
    });
  }
}

TEST_P(SoftmaxCudaTest, MoreDimensionsThanAPassHasAreFloat32) {
  EXPECT_STREQ(Softmax(Gpu(), SoftmaxPrecision::kFloat32).name(), "by blocks of rows");
  EXPECT_STREQ(Softmax(Gpu(), SoftmaxPrecision::kBfloat16).name(), "fused bfloat16");
  const Problem wide = MakeProblem(31, 60, 257);
  Problem problem = wide;
  problem.precision = SoftmaxPrecision::kFloat32;
  ExpectEqualsTheDefinition(problem);
  EXPECT_EQ(Compute(wide).q_grad, Compute(problem).q_grad);
}

TEST_P(SoftmaxCudaTest, WithoutListsNothingIsExcluded) {
  Problem problem = MakeProblem(10, 60, 8);
  problem.excluded.clear();
  problem.excluded_begin.assign(11, 0);
  const Result want = Compute(problem);
  problem.excluded_begin.clear();
  const Result got = Compute(problem);
  EXPECT_EQ(got.row_loss, want.row_loss);
  EXPECT_EQ(got.v_grad, want.v_grad);
}

// Each some columns higher than all before, by more than exponentials of float32 can span, and the
// positives far below.
TEST_P(SoftmaxCudaTest, LaterColumnsMayBeMuchHigherThanTheFirst) {
  for (const double step : {30.0, 100.0, -100.0}) {
    Problem problem = MakeProblem(70, 500, 8, 1.0);
    for (size_t j = 0; j < 500; ++j) {
      problem.column_offset[j] += static_cast<float>(step * static_cast<double>(j / 60));
    }
    ExpectEqualsTheDefinition(problem);
  }
}

TEST_P(SoftmaxCudaTest, LogitsOfTenThousandKeepWhatFloat32Has) {
  for (const float sign : {1.0F, -1.0F}) {
    Problem problem = MakeProblem(40, 130, 16, 1.0);
    for (size_t j = 0; j < 130; ++j) problem.column_offset[j] += sign * 1e4F;
    for (float& offset : problem.positive_offset) offset += sign * 1e4F;
    ExpectEqualsTheDefinition(problem);
    // Of one row alone: its positive is nearly all of the sum, or nearly nothing.
    problem.positive_offset[7] -= sign * 1e4F;
    ExpectEqualsTheDefinition(problem);
  }
}

// Queries with 0 to 9 rows, some of them with the same positive; positives excluded for the query,
// removed columns among them.
TEST_P(SoftmaxCudaTest, RowsMayShareAQuery) {
  for (const int64_t u : {1, 7, 193}) {
    for (const int64_t b : {1, 5, 150}) {
      Problem problem = MakeProblem(b, u, 20);
      const RandomStream random(23, "rows");
      uint64_t next = 0;
      problem.row_begin = {0};
      problem.positive.clear();
      for (int64_t i = 0; i < b; ++i) {
        // One query has more rows than a warp has lanes.
        const int64_t rows = i == 3 ? 70 : random.Below(next++, 10);
        for (int64_t n = 0; n < rows; ++n) problem.positive.push_back(random.Below(next++, u));
        problem.row_begin.push_back(problem.rows());
      }
      problem.positive_offset = cpu::Uniform(problem.rows(), -1, 1, "positive_offset");
      problem.target_offset = cpu::Uniform(problem.rows(), -1, 1, "target_offset");
      problem.weight = cpu::Uniform(problem.rows(), 0, 0.1F, "weight");
      ExpectEqualsTheDefinition(problem);
      if (HasFatalFailure()) return;
    }
  }
}

// Its own logit is another than that of the column, which no other row looks at.
TEST_P(SoftmaxCudaTest, APositivesColumnMayBeFarAboveWhatItsRowSees) {
  Problem problem = MakeProblem(40, 130, 16, 1.0);
  for (const int64_t positive : problem.positive) {
    problem.column_offset[static_cast<size_t>(positive)] = 200;
  }
  std::fill(problem.positive.begin() + 1, problem.positive.end(), problem.positive[0]);
  problem.column_offset[static_cast<size_t>(problem.positive[1])] = 2000;
  ExpectEqualsTheDefinition(problem);
}

// The positive of all rows: its column has more uses than a chunk.
TEST_P(SoftmaxCudaTest, AColumnMayBeThePositiveOfManyRows) {
  Problem problem = MakeProblem(300, 20, 12);
  std::fill(problem.positive.begin(), problem.positive.end(), 3);
  ExpectEqualsTheDefinition(problem);
}

TEST_P(SoftmaxCudaTest, ALonePositiveHasNoLossAndNoGradient) {
  Problem problem = MakeProblem(3, 1, 5);
  problem.target_offset = problem.positive_offset;
  const Result got = Compute(problem);
  for (const auto* values : {&got.row_loss, &got.q_grad, &got.v_grad}) {
    for (const double x : *values) EXPECT_EQ(x, 0);
  }
}

TEST_P(SoftmaxCudaTest, NumbersThatAreNotFiniteMakeTheirRowsLossNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {nan, cpu::kInfinity, 3e38F}) {
    Problem problem = MakeProblem(30, 100, 6);
    problem.q[17 * 6 + 2] = bad;
    const Result got = Compute(problem);
    for (size_t i = 0; i < 30; ++i) EXPECT_EQ(std::isfinite(got.row_loss[i]), i != 17) << i;
  }
  Problem problem = MakeProblem(30, 100, 6);
  problem.v[40 * 6] = nan;
  const Result got = Compute(problem);
  for (size_t i = 0; i < 30; ++i) {
    const bool sees =
        problem.positive[i] == 40 || !cpu::IsExcluded(problem, static_cast<int64_t>(i), 40);
    EXPECT_EQ(std::isfinite(got.row_loss[i]), !sees) << i;
  }
}

}  // namespace
}  // namespace torii::kernels::cuda
