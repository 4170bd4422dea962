#include "model/loss/fused_softmax.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/loss/softmax_reference.h"

namespace torii::model {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kDim = 5;

struct Case {
  int64_t rows = 0, columns = 0;
  double temperature = 1;
  double logit_scale = 1;  // logits are of this size
};

// Everything that can occur: multiplicities, removed columns, excluded lists (with the positive
// among them), weights of 0, corrections of the positive.
SoftmaxProblem RandomProblem(const Case& c, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&random](int64_t n) {
    return std::uniform_int_distribution<int64_t>(0, n - 1)(random);
  };
  std::vector<int64_t> positive;
  for (int64_t i = 0; i < c.rows; ++i) positive.push_back(below(c.columns));
  const double scale = std::sqrt(c.logit_scale * c.temperature);
  SoftmaxProblem p =
      PlainProblem(RandomNormal(random, c.rows, kDim) * scale,
                   RandomNormal(random, c.columns, kDim) * scale, positive, c.temperature);
  for (int64_t j = 0; j < c.columns; ++j) {
    const double multiplicity = static_cast<double>(1 + below(5));
    p.column_offset[j] = below(9) == 0 ? kMinusInfinity : std::log(multiplicity) - std::log(0.3);
  }
  std::vector<int64_t> begin = {0}, excluded;
  for (int64_t i = 0; i < c.rows; ++i) {
    p.weight[i] = static_cast<double>(below(3)) / static_cast<double>(c.rows);
    p.positive_offset[i] = 0.1 * static_cast<double>(below(20));
    p.target_offset[i] = 0.1 * static_cast<double>(below(20));
    for (int64_t k = below(4); k > 0; --k) excluded.push_back(below(c.columns));
    if (below(4) == 0) excluded.push_back(positive[static_cast<size_t>(i)]);
    begin.push_back(static_cast<int64_t>(excluded.size()));
  }
  p.excluded_begin = Ints(begin);
  p.excluded = Ints(excluded);
  return p;
}

// Sets the threads for the time of a test.
class Threads {
 public:
  explicit Threads(int n) : before_(at::get_num_threads()) { at::set_num_threads(n); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

void ExpectNear(const SoftmaxProblem& p, const SoftmaxAnswer& actual, const SoftmaxAnswer& expected,
                double tolerance) {
  EXPECT_NEAR(actual.loss, expected.loss, tolerance * (1 + std::abs(expected.loss)));
  // The gradients of one row are at most weight / tau * |v|: measured on that scale.
  const double q_scale = p.v.numel() ? p.v.abs().max().item<double>() / p.temperature : 1;
  const double v_scale = p.q.numel() ? p.q.abs().max().item<double>() / p.temperature : 1;
  EXPECT_LT(RelativeError(actual.q_grad, expected.q_grad, q_scale), tolerance);
  EXPECT_LT(RelativeError(actual.v_grad, expected.v_grad, v_scale), tolerance);
}

class FusedSoftmaxSizes : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, double>> {};

TEST_P(FusedSoftmaxSizes, EqualsTheFullMatrixReference) {
  const auto [rows, columns, temperature] = GetParam();
  if (columns == 0 && rows > 0) {
    // No positive can exist; there is nothing to learn.
    const SoftmaxProblem p = PlainProblem(at::ones({rows, kDim}), at::ones({0, kDim}),
                                          std::vector<int64_t>(static_cast<size_t>(rows)), 1);
    EXPECT_EQ(Solve(p).loss, 0);
    EXPECT_TRUE(at::equal(Solve(p).q_grad, at::zeros({rows, kDim})));
    return;
  }
  const SoftmaxProblem problem = ToFloat(RandomProblem({rows, columns, temperature}, 7));
  const SoftmaxAnswer expected = Reference(problem);
  for (const int threads : {1, 2, 3}) {
    const Threads use(threads);
    ExpectNear(problem, Solve(problem), expected, 2e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FusedSoftmaxSizes,
                         ::testing::Combine(::testing::Values(0, 1, 2, 7, 64, 129),
                                            ::testing::Values(0, 1, 2, 7, 64, 129),
                                            ::testing::Values(0.05, 1.0)));

TEST(FusedSoftmaxTest, StaysExactWithLogitsOfTenThousand) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const SoftmaxProblem p = ToFloat(RandomProblem({33, 47, 0.05, 1e4}, seed));
    const SoftmaxAnswer actual = Solve(p), expected = Reference(p);
    // A logit of 1e4 has an error of 1e-3 in float32.
    EXPECT_NEAR(actual.loss, expected.loss, 1e-6 * std::abs(expected.loss) + 2e-3);
    EXPECT_TRUE(at::isfinite(actual.q_grad).all().item<bool>());
    EXPECT_TRUE(at::isfinite(actual.v_grad).all().item<bool>());
  }
}

TEST(FusedSoftmaxTest, GivesZerosWithoutRowsOrColumns) {
  const SoftmaxAnswer no_rows =
      Solve(PlainProblem(at::zeros({0, 3}, at::kDouble), at::ones({4, 3}, at::kDouble), {}, 1));
  EXPECT_EQ(no_rows.loss, 0);
  EXPECT_EQ(no_rows.q_grad.sizes(), at::IntArrayRef({0, 3}));
  EXPECT_TRUE(at::equal(no_rows.v_grad, at::zeros({4, 3})));
  const SoftmaxAnswer no_columns =
      Solve(PlainProblem(at::ones({0, 3}, at::kFloat), at::ones({0, 3}, at::kFloat), {}, 1));
  EXPECT_EQ(no_columns.loss, 0);
  EXPECT_EQ(no_columns.v_grad.sizes(), at::IntArrayRef({0, 3}));
}

TEST(FusedSoftmaxTest, RowThatSeesOnlyItsPositiveHasLossZeroAndNoGradient) {
  std::mt19937_64 random(3);
  SoftmaxProblem p =
      PlainProblem(RandomNormal(random, 3, 4), RandomNormal(random, 3, 4), {0, 1, 2}, 0.07);
  p.excluded_begin = Ints({0, 3, 6, 9});
  p.excluded = Ints({0, 1, 2, 0, 1, 2, 0, 1, 2});
  SoftmaxAnswer result = Solve(p);
  EXPECT_EQ(result.loss, 0);
  EXPECT_EQ(result.q_grad.abs().sum().item<double>(), 0);
  EXPECT_EQ(result.v_grad.abs().sum().item<double>(), 0);
  // With a positive that counts twice: log 2 for each row, still without gradient.
  p.positive_offset.fill_(std::log(2.0));
  result = Solve(p);
  EXPECT_NEAR(result.loss, std::log(2.0), 1e-7);
  EXPECT_EQ(result.q_grad.abs().sum().item<double>(), 0);
}

TEST(FusedSoftmaxTest, KeepsTinyLossesAndGradientsOfRowsThatAreRight) {
  // The positive's logit is 40 above the other's: P = 1 - 4e-18, which no float can hold.
  SoftmaxProblem p =
      PlainProblem(at::ones({1, 1}, at::kFloat), at::tensor({40.0F, 0.0F}).view({2, 1}), {0}, 1);
  const SoftmaxAnswer result = Solve(p);
  const double expected = std::exp(-40.0);
  EXPECT_NEAR(result.loss / expected, 1, 1e-5);
  EXPECT_NEAR(result.v_grad[0].item<double>() / -expected, 1, 1e-5);
  EXPECT_NEAR(result.v_grad[1].item<double>() / expected, 1, 1e-5);
}

TEST(FusedSoftmaxTest, NamesTheFirstRowWhoseLossIsNotFinite) {
  for (const int threads : {1, 2}) {
    const Threads use(threads);
    for (const double bad : {std::nan(""), -kMinusInfinity}) {
      SoftmaxProblem p = ToFloat(RandomProblem({20, 9}, 1));
      p.excluded_begin = at::Tensor();
      p.q[13][2] = bad;
      p.q[17][0] = bad;
      p.weight[13] = 0.0;
      FusedSoftmax loss;
      EXPECT_FALSE(std::isfinite(loss.Compute(p).value.item<double>()));
      EXPECT_THAT(loss.Explain(p), HasSubstr("row 13 of 20"));
    }
  }
}

TEST(FusedSoftmaxTest, IsTheSameBitForBitOnAnyNumberOfThreads) {
  const SoftmaxProblem p = ToFloat(RandomProblem({1100, 640, 0.05}, 5));
  for (const auto precision :
       {kernels::SoftmaxPrecision::kFloat32, kernels::SoftmaxPrecision::kBfloat16}) {
    FusedSoftmax loss(precision);
    const SoftmaxAnswer first = loss.Compute(p);
    for (const int threads : {1, 2, 3, 5}) {
      const Threads use(threads);
      const SoftmaxAnswer again = loss.Compute(p);
      EXPECT_EQ(first.loss, again.loss);
      EXPECT_TRUE(at::equal(first.q_grad, again.q_grad));
      EXPECT_TRUE(at::equal(first.v_grad, again.v_grad));
    }
  }
}

TEST(FusedSoftmaxTest, LeavesResultsAloneThatSomeoneHolds) {
  FusedSoftmax loss;
  const SoftmaxProblem p = ToFloat(RandomProblem({40, 30}, 5));
  const SoftmaxAnswer held = loss.Compute(p);
  const at::Tensor q_grad = held.q_grad.clone(), v_grad = held.v_grad.clone();
  const void* memory = loss.Compute(ToFloat(RandomProblem({40, 30}, 6))).q_grad.const_data_ptr();
  EXPECT_TRUE(at::equal(held.q_grad, q_grad));
  EXPECT_TRUE(at::equal(held.v_grad, v_grad));
  EXPECT_EQ(loss.Compute(p).q_grad.const_data_ptr(), memory);
}

// Rows 2 k and 2 k + 1 have one query: the loss is that of the same rows with a copy each, and the
// gradient of the query the sum of the copies'.
TEST(FusedSoftmaxTest, SharedQueriesEqualCopies) {
  SoftmaxProblem copies = ToFloat(RandomProblem({40, 30}, 5));
  const at::Tensor distinct = copies.q.slice(0, 0, 40, 2);
  copies.q = distinct.repeat_interleave(2, 0);
  std::vector<int64_t> lists_of_rows = {0}, lists = {0}, row_begin = {0}, excluded_of_rows,
                       excluded;
  for (int64_t r = 0; r < 20; ++r) {
    for (const int64_t column : {r, r + 7}) excluded.push_back(column);
    for (int copy = 0; copy < 2; ++copy) {
      for (const int64_t column : {r, r + 7}) excluded_of_rows.push_back(column);
      lists_of_rows.push_back(std::ssize(excluded_of_rows));
    }
    lists.push_back(std::ssize(excluded));
    row_begin.push_back(2 * r + 2);
  }
  copies.excluded_begin = Ints(lists_of_rows);
  copies.excluded = Ints(excluded_of_rows);
  SoftmaxProblem shared = copies;
  shared.q = distinct;
  shared.rows = RowGroups::Of(row_begin);
  shared.excluded_begin = Ints(lists);
  shared.excluded = Ints(excluded);
  const SoftmaxAnswer want = Reference(copies);
  const SoftmaxAnswer got = FusedSoftmax().Compute(shared);
  EXPECT_NEAR(got.loss, want.loss, 2e-6 * std::abs(want.loss));
  EXPECT_LT(RelativeError(got.q_grad, want.q_grad.view({20, 2, kDim}).sum(1)), 2e-6);
  EXPECT_LT(RelativeError(got.v_grad, want.v_grad), 2e-6);
}

TEST(FusedSoftmaxTest, NamesTheRowOfASharedQueryThatDiverged) {
  SoftmaxProblem p = PlainProblem(at::ones({2, 3}), at::ones({4, 3}), {0, 1, 2}, 1);
  p = ToFloat(p);
  p.rows = RowGroups::Of({0, 2, 3});
  p.positive_offset = at::zeros({3});
  p.target_offset = at::zeros({3});
  p.weight = at::ones({3});
  p.q[1][0] = NAN;
  EXPECT_THAT(FusedSoftmax().Explain(p), HasSubstr("row 2 of 3"));
}

TEST(FusedSoftmaxDeathTest, RefusesRowsThatTheQueriesDoNotCover) {
  SoftmaxProblem p = ToFloat(PlainProblem(at::ones({2, 3}), at::ones({4, 3}), {0, 1}, 1));
  p.rows = RowGroups::Of({0, 1, 3});
  EXPECT_DEATH(FusedSoftmax().Compute(p), "groups of 3 rows of 2 queries for 2 rows of 2");
}

TEST(FusedSoftmaxTest, IsNearTheExactOneInBfloat16) {
  for (const double temperature : {0.07, 1.0}) {
    SoftmaxProblem p = ToFloat(RandomProblem({300, 500, temperature}, 8));
    p.q = p.q / p.q.norm(2, {1}, true);
    p.v = p.v / p.v.norm(2, {1}, true);
    const SoftmaxAnswer exact = Reference(p);
    const SoftmaxAnswer rounded = FusedSoftmax(kernels::SoftmaxPrecision::kBfloat16).Compute(p);
    // Products of numbers with 8 significant bits; in the mean over the rows much cancels.
    EXPECT_NEAR(rounded.loss, exact.loss, 1e-3 * exact.loss);
    EXPECT_LT(RelativeError(rounded.q_grad, exact.q_grad), 2e-2);
    EXPECT_LT(RelativeError(rounded.v_grad, exact.v_grad), 2e-2);
  }
}

TEST(FusedSoftmaxTest, TakesStridedInputsThatRequireGrad) {
  std::mt19937_64 random(9);
  const at::Tensor wide = RandomNormal(random, 6, 8).to(at::kFloat);
  const at::Tensor turned = RandomNormal(random, 4, 5).to(at::kFloat).t();
  SoftmaxProblem strided = PlainProblem(wide.narrow(1, 2, 4), turned, {0, 1, 2, 3, 4, 0}, 1);
  SoftmaxProblem plain = strided;
  plain.q = strided.q.contiguous();
  plain.v = strided.v.contiguous();
  strided.q = strided.q.requires_grad_();
  const SoftmaxAnswer a = FusedSoftmax().Compute(strided), b = FusedSoftmax().Compute(plain);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_TRUE(at::equal(a.v_grad, b.v_grad));
  EXPECT_FALSE(a.q_grad.requires_grad());
}

TEST(FusedSoftmaxDeathTest, RefusesAPositiveOutsideTheColumns) {
  const SoftmaxProblem p = PlainProblem(at::ones({1, 2}), at::ones({3, 2}), {3}, 1);
  EXPECT_DEATH(FusedSoftmax().Compute(p), "positive 3 of 3");
}

}  // namespace
}  // namespace torii::model
