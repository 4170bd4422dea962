#include "kernels/cpu/softmax/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/cpu/variants.h"
#include "tests/kernels/softmax_support.h"

namespace torii::kernels::cpu {
namespace {

class SoftmaxTest : public ::testing::TestWithParam<const SoftmaxVariant*> {};

std::string NameOf(const ::testing::TestParamInfo<const SoftmaxVariant*>& variant) {
  return variant.param->name;
}

INSTANTIATE_TEST_SUITE_P(Float32, SoftmaxTest,
                         ::testing::ValuesIn(RunnableSoftmaxVariants(SoftmaxPrecision::kFloat32)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Bfloat16, SoftmaxTest,
                         ::testing::ValuesIn(RunnableSoftmaxVariants(SoftmaxPrecision::kBfloat16)),
                         NameOf);

TEST_P(SoftmaxTest, EqualsTheDefinitionForAllSizes) {
  for (const int64_t dim : {1, 2, 15, 16, 33, 64, 65, 130}) {
    for (const int64_t u : {1, 2, 7, 48, 49, 193}) {
      for (const int64_t b : {1, 5, 24, 73, 150}) {
        const Problem problem = MakeProblem(b, u, dim, 5.0, *GetParam());
        ExpectEqualsReference(problem, RunKernel(problem, *GetParam()));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(SoftmaxTest, ManyColumnsAndASharpTemperatureEqualTheDefinition) {
  const Problem problem = MakeProblem(30, 5003, 24, 20.0, *GetParam());

  ExpectEqualsReference(problem, RunKernel(problem, *GetParam()));
}

TEST_P(SoftmaxTest, IsTheSameBitForBitOnAnyNumberOfThreads) {
  for (const int64_t b : {3, 157, 1100}) {
    const Problem problem = MakeProblem(b, 301, 20, 5.0, *GetParam());
    const Result alone = RunKernel(problem, *GetParam());
    for (const int threads : {2, 3, 7}) {
      const Result divided = RunKernel(problem, *GetParam(), threads);
      EXPECT_EQ(divided.row_loss, alone.row_loss);
      EXPECT_EQ(divided.q_grad, alone.q_grad);
      EXPECT_EQ(divided.v_grad, alone.v_grad);
    }
  }
}

TEST_P(SoftmaxTest, ThreadsMayRunOneAfterTheOther) {
  const Problem problem = MakeProblem(157, 301, 20, 5.0, *GetParam());
  SoftmaxKernel kernel(GetParam()->precision, GetParam());
  const Result want = RunKernel(kernel, problem, 1);
  EXPECT_EQ(RunKernel(kernel, problem, 3, Threads::kOneByOne).v_grad, want.v_grad);
}

TEST_P(SoftmaxTest, AProblemDoesNotSeeTheOneBefore) {
  SoftmaxKernel kernel(GetParam()->precision, GetParam());
  for (const int64_t dim : {33, 20, 70}) {
    for (const int64_t u : {301, 50, 130}) {
      for (const int64_t b : {157, 9, 1}) {
        const Problem problem = MakeProblem(b, u, dim, 5.0, *GetParam());
        const Result again = RunKernel(kernel, problem, 2);
        const Result fresh = RunKernel(problem, *GetParam());
        EXPECT_EQ(again.row_loss, fresh.row_loss);
        EXPECT_EQ(again.q_grad, fresh.q_grad);
        EXPECT_EQ(again.v_grad, fresh.v_grad);
      }
    }
  }
}

TEST_P(SoftmaxTest, WithoutListsNothingIsExcluded) {
  Problem problem = MakeProblem(10, 60, 8, 2.0, *GetParam());
  problem.excluded.clear();
  problem.excluded_begin.assign(11, 0);
  const Result want = RunKernel(problem, *GetParam());
  problem.excluded_begin.clear();

  const Result got = RunKernel(problem, *GetParam());

  EXPECT_EQ(got.row_loss, want.row_loss);
  EXPECT_EQ(got.v_grad, want.v_grad);
}

// The row's own logit is far above and far below all others; a removed column is higher than
// anything.
TEST_P(SoftmaxTest, ExtremeLogitsKeepTheirPrecision) {
  Problem problem = MakeProblem(2, 60, 1, 1.0, *GetParam());
  problem.excluded.clear();
  problem.excluded_begin.assign(3, 0);
  problem.q = {1, 1};
  std::fill(problem.v.begin(), problem.v.end(), 0.0F);
  std::fill(problem.column_offset.begin(), problem.column_offset.end(), 0.0F);
  problem.positive = {3, 4};
  problem.v[3] = 30;
  problem.v[4] = -200;
  problem.v[50] = 1000;
  problem.column_offset[50] = -kInfinity;
  problem.positive_offset = problem.target_offset = {0, 0};
  // Row 0 sees column 4 and 57 zeros beside its positive; row 1 sees column 3 instead of 4.
  const Result got = RunKernel(problem, *GetParam());

  if (problem.precision == SoftmaxPrecision::kFloat32) {
    EXPECT_NEAR(got.row_loss[0] / (57 * std::exp(-30.0)), 1, 1e-5);
    EXPECT_NEAR(got.row_loss[1], 230, 1e-4);
  }
  ExpectEqualsReference(problem, got);
}

// Each some columns higher than all before, by more than exponentials of float32 can span, and the
// positives far below.
TEST_P(SoftmaxTest, LaterColumnsMayBeMuchHigherThanTheFirst) {
  for (const double step : {30.0, 100.0}) {
    Problem problem = MakeProblem(70, 500, 8, 1.0, *GetParam());
    for (size_t j = 0; j < 500; ++j) {
      problem.column_offset[j] += static_cast<float>(step * static_cast<double>(j / 60));
    }
    const Result got = RunKernel(problem, *GetParam());
    ExpectEqualsReference(problem, got);
    EXPECT_EQ(RunKernel(problem, *GetParam(), 3).v_grad, got.v_grad);
  }
}

// Queries with 0 to 9 rows, some of them with the same positive; positives excluded for the query,
// removed columns among them.
Problem ProblemOfSharedQueries(int64_t b, int64_t u, int64_t dim, const SoftmaxVariant& variant) {
  Problem problem = MakeProblem(b, u, dim, 5.0, variant);
  const RandomStream random(23, "rows");
  uint64_t next = 0;
  problem.row_begin = {0};
  problem.positive.clear();
  for (int64_t i = 0; i < b; ++i) {
    const int64_t rows = random.Below(next++, 10);
    for (int64_t n = 0; n < rows; ++n) problem.positive.push_back(random.Below(next++, u));
    problem.row_begin.push_back(problem.rows());
  }
  problem.positive_offset = Uniform(problem.rows(), -1, 1, "positive_offset");
  problem.target_offset = Uniform(problem.rows(), -1, 1, "target_offset");
  problem.weight = Uniform(problem.rows(), 0, 0.1F, "weight");
  return problem;
}

TEST_P(SoftmaxTest, RowsMayShareAQuery) {
  for (const int64_t u : {1, 2, 7, 49, 193}) {
    for (const int64_t b : {1, 5, 73, 150}) {
      const Problem problem = ProblemOfSharedQueries(b, u, 20, *GetParam());
      const Result got = RunKernel(problem, *GetParam());
      ExpectEqualsReference(problem, got);
      if (HasFatalFailure()) return;
      EXPECT_EQ(RunKernel(problem, *GetParam(), 3).v_grad, got.v_grad);
    }
  }
}

// One of a query's positives is far above all else: what is left for it is the other positives.
TEST_P(SoftmaxTest, APositiveFarAboveTheQuerysOthersKeepsItsPrecision) {
  Problem problem = MakeProblem(1, 60, 1, 1.0, *GetParam());
  problem.excluded.clear();
  problem.excluded_begin.assign(2, 0);
  problem.q = {1};
  std::fill(problem.v.begin(), problem.v.end(), 0.0F);
  std::fill(problem.column_offset.begin(), problem.column_offset.end(), -kInfinity);
  problem.column_offset[3] = problem.column_offset[4] = problem.column_offset[5] = 0;
  problem.v[3] = 30;
  problem.row_begin = {0, 3};
  problem.positive = {5, 3, 4};
  problem.positive_offset = problem.target_offset = {0, 0, 0};
  problem.weight = {1, 1, 1};

  const Result got = RunKernel(problem, *GetParam());

  ExpectEqualsReference(problem, got);
  if (problem.precision == SoftmaxPrecision::kFloat32) {
    EXPECT_NEAR(got.row_loss[1] / (2 * std::exp(-30.0)), 1, 1e-5);
  }
}

TEST_P(SoftmaxTest, ALonePositiveHasNoLossAndNoGradient) {
  Problem problem = MakeProblem(3, 1, 5, 3.0, *GetParam());
  problem.target_offset = problem.positive_offset;

  const Result got = RunKernel(problem, *GetParam());

  for (const auto* values : {&got.row_loss, &got.q_grad, &got.v_grad}) {
    for (const double x : *values) EXPECT_EQ(x, 0);
  }
}

TEST_P(SoftmaxTest, NumbersThatAreNotFiniteMakeTheirRowsLossNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {nan, kInfinity, 3e38F}) {
    Problem problem = MakeProblem(30, 100, 6, 5.0, *GetParam());
    problem.q[17 * 6 + 2] = bad;
    const Result got = RunKernel(problem, *GetParam());
    for (size_t i = 0; i < 30; ++i) EXPECT_EQ(std::isfinite(got.row_loss[i]), i != 17) << i;
  }
  Problem problem = MakeProblem(30, 100, 6, 5.0, *GetParam());
  problem.v[40 * 6] = nan;
  const Result got = RunKernel(problem, *GetParam());
  for (size_t i = 0; i < 30; ++i) {
    const bool sees =
        problem.positive[i] == 40 || !IsExcluded(problem, static_cast<int64_t>(i), 40);
    EXPECT_EQ(std::isfinite(got.row_loss[i]), !sees) << i;
  }
}

}  // namespace
}  // namespace torii::kernels::cpu
