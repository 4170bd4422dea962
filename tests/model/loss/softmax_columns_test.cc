// What the columns stand for: repeated columns against distinct ones, accidental hits, corrections.
#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "model/loss/fused_softmax.h"
#include "tests/model/loss/softmax_reference.h"

namespace torii::model {
namespace {

enum class Hits { kKept, kMasked };

// The columns of a step: `item[c]` is the item of column c, row i's own column is column i.
struct Columns {
  at::Tensor q;                  // [B, D] float64
  at::Tensor vectors;            // [items, D]
  std::vector<int64_t> item;     // [N]
  std::vector<double> negative;  // [items]: subtracted from the logits of the items as negatives
  std::vector<double> positive;  // [items]: subtracted from the logit of a row's own positive
  Hits hits = Hits::kMasked;
  double temperature = 1;
  int64_t rows() const { return q.size(0); }
  size_t ItemOfRow(int64_t i) const { return static_cast<size_t>(item[static_cast<size_t>(i)]); }
};

// Every column by itself; hits are excluded one by one.
SoftmaxProblem Repeated(const Columns& c) {
  const auto n = static_cast<int64_t>(c.item.size());
  std::vector<int64_t> own, begin = {0}, excluded;
  std::vector<double> offset, positive_offset;
  for (int64_t i = 0; i < c.rows(); ++i) {
    own.push_back(i);
    positive_offset.push_back(-c.positive[c.ItemOfRow(i)]);
    for (int64_t k = 0; k < n && c.hits == Hits::kMasked; ++k) {
      if (k != i && c.ItemOfRow(k) == c.ItemOfRow(i)) excluded.push_back(k);
    }
    begin.push_back(static_cast<int64_t>(excluded.size()));
  }
  for (const int64_t j : c.item) offset.push_back(-c.negative[static_cast<size_t>(j)]);
  SoftmaxProblem p = PlainProblem(c.q, c.vectors.index_select(0, Ints(c.item)), own, c.temperature);
  p.column_offset = Doubles(offset);
  p.positive_offset = p.target_offset = Doubles(positive_offset);
  p.excluded_begin = Ints(begin);
  p.excluded = Ints(excluded);
  return p;
}

// Each distinct item once, with the logarithm of its multiplicity.
SoftmaxProblem Distinct(const Columns& c, std::vector<int64_t>* items) {
  std::map<int64_t, double> multiplicity;
  for (const int64_t j : c.item) multiplicity[j] += 1;
  std::map<int64_t, int64_t> column;
  std::vector<double> offset;
  for (const auto& [j, m] : multiplicity) {
    column[j] = static_cast<int64_t>(items->size());
    items->push_back(j);
    offset.push_back(std::log(m) - c.negative[static_cast<size_t>(j)]);
  }
  std::vector<int64_t> own;
  std::vector<double> positive_offset, target_offset;
  for (int64_t i = 0; i < c.rows(); ++i) {
    const auto j = static_cast<int64_t>(c.ItemOfRow(i));
    own.push_back(column[j]);
    target_offset.push_back(-c.positive[static_cast<size_t>(j)]);
    const double copies = c.hits == Hits::kKept ? std::log(multiplicity[j]) : 0;
    positive_offset.push_back(target_offset.back() + copies);
  }
  SoftmaxProblem p = PlainProblem(c.q, c.vectors.index_select(0, Ints(*items)), own, c.temperature);
  p.column_offset = Doubles(offset);
  p.positive_offset = Doubles(positive_offset);
  p.target_offset = Doubles(target_offset);
  return p;
}

// What holds of the formula holds of the float64 matrix and, within float32, of the product.
struct Solver {
  SoftmaxAnswer (*solve)(const SoftmaxProblem& p);
  double tolerance;
};
constexpr Solver kSolvers[] = {{Reference, 1e-12}, {Solve, 2e-6}};

// The golden example: items a, b, c with shares (.5, .25, .25), rows with positives a, b, a, c.
const std::vector<double> kShare = {0.5, 0.25, 0.25};
Columns Golden(double temperature, Hits hits) {
  Columns c;
  c.q = Doubles({1, 0, 0, 1, 1, 1, 1, -1}).view({4, 2});
  c.vectors = Doubles({1, 0, 0, 1, 0.5, 0.5}).view({3, 2});
  c.item = {0, 1, 0, 2};
  c.negative = c.positive = {0, 0, 0};
  c.hits = hits;
  c.temperature = temperature;
  return c;
}

std::vector<double> LogShares(double factor) {
  std::vector<double> logs;
  for (const double w : kShare) logs.push_back(std::log(factor * w));
  return logs;
}

// The loss of one row: the others have weight 0.
double RowLoss(const Solver& solver, SoftmaxProblem p, int64_t row) {
  p.weight = at::zeros_like(p.weight);
  p.weight[row] = 1;
  return solver.solve(p).loss;
}

void ExpectGolden(const Columns& c, const std::vector<double>& rows, double mean) {
  std::vector<int64_t> items;
  for (const SoftmaxProblem& p : {Repeated(c), Distinct(c, &items)}) {
    for (const Solver& solver : kSolvers) {
      EXPECT_NEAR(solver.solve(p).loss, mean, 1e-9 + solver.tolerance);
      for (int64_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(RowLoss(solver, p, i), rows[static_cast<size_t>(i)], 5.1e-7 + solver.tolerance)
            << "row " << i;
      }
    }
  }
}

TEST(SoftmaxGoldenTest, WithoutCorrection) {
  ExpectGolden(Golden(1, Hits::kKept), {1.090046, .851129, 1.386294, 1.917576}, 1.311261195);
  ExpectGolden(Golden(1, Hits::kMasked), {.680270, .851129, 1.098612, 1.917576}, 1.136896661);
  ExpectGolden(Golden(.5, Hits::kKept), {.917576, .493812, 1.386294, 2.767165}, 1.391211593);
  ExpectGolden(Golden(.5, Hits::kMasked), {.407606, .493812, 1.098612, 2.767165}, 1.191798617);
}

TEST(SoftmaxGoldenTest, CorrectedByTheLogarithmOfTheShareOnBothSides) {
  for (const Hits hits : {Hits::kKept, Hits::kMasked}) {
    Columns c = Golden(.5, hits);
    c.negative = c.positive = LogShares(1);
    if (hits == Hits::kKept) {
      ExpectGolden(c, {1.100753, .407606, 1.791759, 2.142932}, 1.360762552);
    } else {
      ExpectGolden(c, {.696357, .407606, 1.609438, 2.142932}, 1.214083064);
      // The correction is subtracted after the division by the temperature.
      EXPECT_GT(std::abs(Solve(Repeated(c)).loss - 1.309119549), 0.05);
    }
  }
}

TEST(SoftmaxGoldenTest, DefaultPairingCorrectsNegativesOnly) {
  Columns c = Golden(.5, Hits::kMasked);
  c.negative = LogShares(3);
  ExpectGolden(c, {.513394, .513394, 1.299283, 2.400847}, 1.181729658);
}

TEST(SoftmaxColumnsTest, DistinctFormEqualsRepeatedColumns) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    std::uniform_int_distribution<int64_t> item(0, 9);
    Columns c;
    c.q = RandomNormal(random, 13, 6);
    c.vectors = RandomNormal(random, 10, 6);
    c.temperature = seed % 2 ? 0.3 : 1;
    c.hits = seed % 4 < 2 ? Hits::kMasked : Hits::kKept;
    for (int k = 0; k < 31; ++k) c.item.push_back(item(random));
    for (int j = 0; j < 10; ++j) {
      c.negative.push_back(0.2 * static_cast<double>(item(random)));
      c.positive.push_back(0.2 * static_cast<double>(item(random)));
    }
    if (c.hits == Hits::kKept) c.positive = c.negative;  // a copy of the positive is like itself
    std::vector<int64_t> items;
    const SoftmaxProblem one_by_one = Repeated(c), once = Distinct(c, &items);
    for (const auto& [solve, tolerance] : kSolvers) {
      const SoftmaxAnswer repeated = solve(one_by_one), distinct = solve(once);
      EXPECT_NEAR(repeated.loss, distinct.loss, tolerance);
      EXPECT_LT(RelativeError(repeated.q_grad, distinct.q_grad), tolerance);
      const at::Tensor zeros = at::zeros({10, 6}, distinct.v_grad.options());
      EXPECT_LT(RelativeError(zeros.index_add(0, Ints(c.item), repeated.v_grad),
                              zeros.index_add(0, Ints(items), distinct.v_grad)),
                tolerance);
    }
  }
}

TEST(SoftmaxColumnsTest, PermutingColumnsChangesNothing) {
  std::mt19937_64 random(4);
  SoftmaxProblem p =
      PlainProblem(RandomNormal(random, 5, 3), RandomNormal(random, 4, 3), {0, 3, 1, 1, 2}, .1);
  p.column_offset = Doubles({.1, .7, kMinusInfinity, 2});
  const at::Tensor order = Ints({2, 0, 3, 1});  // new column k is old column order[k]
  SoftmaxProblem moved = p;
  moved.v = p.v.index_select(0, order);
  moved.column_offset = p.column_offset.index_select(0, order);
  moved.positive = at::argsort(order).index_select(0, p.positive);
  for (const auto& [solve, tolerance] : kSolvers) {
    const SoftmaxAnswer a = solve(p), b = solve(moved);
    EXPECT_NEAR(a.loss, b.loss, tolerance);
    EXPECT_LT(RelativeError(b.q_grad, a.q_grad), tolerance);
    EXPECT_LT(RelativeError(b.v_grad, a.v_grad.index_select(0, order)), tolerance);
  }
}

TEST(SoftmaxColumnsTest, AllColumnsOneItemGivesZeroWithHitsMaskedAndLogNKept) {
  for (const Hits hits : {Hits::kMasked, Hits::kKept}) {
    Columns c;
    c.q = Doubles({3, -2, 5}).view({3, 1});
    c.vectors = Doubles({1.5}).view({1, 1});
    c.item = {0, 0, 0, 0, 0, 0, 0};
    c.negative = c.positive = {0};
    c.hits = hits;
    std::vector<int64_t> items;
    const double expected = hits == Hits::kMasked ? 0 : std::log(7.0);
    const SoftmaxProblem one_by_one = Repeated(c), once = Distinct(c, &items);
    for (const auto& [solve, tolerance] : kSolvers) {
      EXPECT_NEAR(solve(one_by_one).loss, expected, tolerance);
      EXPECT_NEAR(solve(once).loss, expected, tolerance);
    }
  }
}

// The gradient with respect to the scores of all items, averaged over draws of the columns, against
// that of the full softmax. With q = 1 and D = items, v = diag(scores), the gradient with respect
// to v's diagonal is the gradient with respect to the scores.
class ExpectedGradient : public ::testing::Test {
 protected:
  static constexpr int64_t kItems = 50;
  enum class Pairing { kA, kB, kInconsistent };

  ExpectedGradient() {
    std::mt19937_64 random(11);
    scores_ = RandomNormal(random, 1, kItems).view({kItems});
    // The positives of the tests, the most and the least popular item, are likely ones.
    scores_[0] = scores_[kItems - 1] = 1;
    double total = 0;
    for (int64_t j = 0; j < kItems; ++j) total += 1.0 / static_cast<double>(j + 1);
    for (int64_t j = 0; j < kItems; ++j) share_.push_back(1.0 / static_cast<double>(j + 1) / total);
  }

  // One row with positive p and n - 1 further columns drawn by share.
  Columns Draw(std::mt19937_64& random, int64_t p, int64_t n, Pairing pairing) {
    std::discrete_distribution<int64_t> item(share_.begin(), share_.end());
    Columns c;
    c.q = at::ones({1, kItems}, at::kDouble);
    c.vectors = at::diag(scores_);
    c.item = {p};
    for (int64_t k = 1; k < n; ++k) c.item.push_back(item(random));
    for (const double w : share_) c.negative.push_back(std::log(static_cast<double>(n) * w));
    c.positive = pairing == Pairing::kA ? std::vector<double>(share_.size(), 0) : c.negative;
    c.hits = pairing == Pairing::kB ? Hits::kKept : Hits::kMasked;
    return c;
  }

  // L1 distance of the mean gradient from the gradient of the full softmax.
  double Distance(int64_t p, int64_t n, Pairing pairing, int draws) {
    std::mt19937_64 random(5);
    at::Tensor mean = at::zeros({kItems}, at::kDouble);
    for (int d = 0; d < draws; ++d) {
      std::vector<int64_t> items;
      const SoftmaxAnswer result = Solve(Distinct(Draw(random, p, n, pairing), &items));
      for (size_t k = 0; k < items.size(); ++k) {
        mean[items[k]] += result.v_grad[static_cast<int64_t>(k)][items[k]] / draws;
      }
    }
    at::Tensor full = at::softmax(scores_, 0);
    full[p] -= 1;
    return (mean - full).abs().sum().item<double>();
  }

  at::Tensor scores_;
  std::vector<double> share_;
};

// Sampling alone gives a distance of about 0.005 with 1000 draws.
TEST_F(ExpectedGradient, OfConsistentPairingsTendsToTheFullSoftmax) {
  for (const int64_t positive : {int64_t{0}, kItems - 1}) {
    EXPECT_LT(Distance(positive, 4096, Pairing::kA, 1000), 0.01) << positive;
    EXPECT_LT(Distance(positive, 4096, Pairing::kB, 1000), 0.01) << positive;
  }
}

// With its copies masked and its logit corrected, the positive vanishes from its own denominator:
// its probability P is missing there and the others have it, an L1 distance of about 2 P.
TEST_F(ExpectedGradient, OfTheInconsistentPairingMissesThePositivesProbability) {
  const at::Tensor full = at::softmax(scores_, 0);
  for (const int64_t positive : {int64_t{0}, kItems - 1}) {
    const double missing = 2 * full[positive].item<double>();
    EXPECT_GT(missing, 0.04);
    EXPECT_NEAR(Distance(positive, 4096, Pairing::kInconsistent, 1000), missing, 0.25 * missing);
  }
}

TEST_F(ExpectedGradient, BiasFallsWithTheNumberOfColumns) {
  EXPECT_GT(Distance(0, 16, Pairing::kA, 1000), 0.1);
  EXPECT_LT(Distance(0, 256, Pairing::kA, 1000), 0.05);
}

}  // namespace
}  // namespace torii::model
