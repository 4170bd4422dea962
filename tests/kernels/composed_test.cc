// Each operation composed of LibTorch's against the kernels of the CPU.
#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/composed_ranking.h"
#include "kernels/dense_weights.h"
#include "kernels/host_tensors.h"
#include "kernels/pooled_rows.h"
#include "kernels/random_rows.h"
#include "kernels/ranking.h"
#include "kernels/softmax.h"

namespace torii::kernels {
namespace {

const Device kCpu = Device::Cpu(), kComposed = Device::Composed();

at::Tensor Floats(std::vector<int64_t> sizes, const char* purpose) {
  at::Tensor x = at::empty(sizes, at::kFloat);
  FillNormalRows(kCpu, RandomStream(3, purpose), 0, 1, 1, x.view({1, -1}));
  return x;
}

at::Tensor Indices(int64_t n, int64_t bound, const char* purpose) {
  const RandomStream random(3, purpose);
  FilledTensor<int64_t> filled(n);
  for (int64_t i = 0; i < n; ++i) {
    filled.values()[static_cast<size_t>(i)] = random.Below(static_cast<uint64_t>(i), bound);
  }
  return filled.take();
}

void ExpectNear(const at::Tensor& a, const at::Tensor& b, const char* what, double bound = 2e-5) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  if (a.numel() == 0) return;
  EXPECT_TRUE(at::allclose(a, b, bound, bound))
      << what << ": " << (a - b).abs().max().item<double>();
}

struct SoftmaxCase {
  SoftmaxTensors tensors;
  SoftmaxResults Compute(const Device& device) const {
    SoftmaxResults results{at::empty({1}, at::kDouble),
                           at::empty({tensors.positive.numel()}, at::kDouble),
                           at::empty_like(tensors.q), at::empty_like(tensors.v)};
    Softmax(device, SoftmaxPrecision::kFloat32).Compute(tensors, results);
    return results;
  }
};

SoftmaxCase MakeSoftmaxCase(const std::vector<int64_t>& rows_of_query, int64_t columns,
                            bool excludes) {
  const auto queries = std::ssize(rows_of_query);
  std::vector<int64_t> begin = {0}, excluded_begin = {0}, excluded;
  for (int64_t i = 0; i < queries; ++i) {
    begin.push_back(begin.back() + rows_of_query[static_cast<size_t>(i)]);
    for (int64_t c = i % 3; c < columns && i % 2 == 0; c += 5) excluded.push_back(c);
    excluded_begin.push_back(std::ssize(excluded));
  }
  const int64_t rows = begin.back();
  SoftmaxTensors t{.q = Floats({queries, 7}, "q"),
                   .v = Floats({columns, 7}, "v"),
                   .column_offset = Floats({columns}, "column"),
                   .row_begin = TensorOf(begin),
                   .positive = Indices(rows, columns, "positive"),
                   .positive_offset = Floats({rows}, "positive offset"),
                   .target_offset = Floats({rows}, "target"),
                   .weight = Floats({rows}, "weight").abs(),
                   .excluded_begin = {},
                   .excluded = {},
                   .inverse_temperature = 2.5};
  if (columns > 3) t.column_offset[2] = -std::numeric_limits<float>::infinity();
  if (excludes) {
    t.excluded_begin = TensorOf(excluded_begin);
    t.excluded = TensorOf(excluded);
  }
  return {t};
}

TEST(ComposedTest, SoftmaxEqualsTheKernel) {
  for (const int64_t columns : {1, 2, 31, 130}) {
    for (const bool excludes : {false, true}) {
      const SoftmaxCase c = MakeSoftmaxCase({1, 2, 0, 5, 1, 1, 300, 1, 3, 1}, columns, excludes);
      const SoftmaxResults want = c.Compute(kCpu), got = c.Compute(kComposed);
      ExpectNear(got.loss, want.loss, "loss");
      ExpectNear(got.row_loss, want.row_loss, "losses of the rows");
      ExpectNear(got.q_grad, want.q_grad, "gradient of q", 1e-4);
      ExpectNear(got.v_grad, want.v_grad, "gradient of v", 1e-4);
    }
  }
}

TEST(ComposedTest, SoftmaxOfOneRowPerQueryEqualsTheKernel) {
  SoftmaxCase c = MakeSoftmaxCase(std::vector<int64_t>(523, 1), 67, /*excludes=*/true);
  c.tensors.row_begin = at::Tensor();
  const SoftmaxResults want = c.Compute(kCpu), got = c.Compute(kComposed);
  ExpectNear(got.loss, want.loss, "loss");
  ExpectNear(got.q_grad, want.q_grad, "gradient of q", 1e-4);
  ExpectNear(got.v_grad, want.v_grad, "gradient of v", 1e-4);
}

TEST(ComposedTest, ARowThatDivergesGivesALossThatIsNotFinite) {
  for (const Device& device : {kCpu, kComposed}) {
    SoftmaxCase c = MakeSoftmaxCase({1, 1, 1}, 5, false);
    c.tensors.q[1] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(std::isfinite(ListOf<double>(c.Compute(device).loss)[0])) << device.name();
  }
}

TEST(ComposedTest, PooledRowsEqualTheKernels) {
  for (const int64_t places : {0, 1, 40}) {
    const at::Tensor rows = Floats({11, 5}, "rows");
    const at::Tensor offsets = TensorOf(std::vector<int64_t>{0, 0, places / 3, places / 3, places});
    RowListTensors lists{Indices(places, 11, "index"), offsets, {}, {}};
    for (const int kind : {0, 1, 2, 3}) {
      if (kind == 1) lists.scales = InverseLengths(kCpu, offsets);
      if (kind == 2) lists.weights = RecencyWeights(kCpu, offsets, places, 3.5);
      if (kind == 3) lists = {lists.index, {}, {}, {}};
      const at::Tensor out = PoolRows(kCpu, rows, lists);
      ExpectNear(PoolRows(kComposed, rows, lists), out, "pooled");
      const at::Tensor gradient = Floats({lists.count(), 5}, "gradient");
      ExpectNear(PoolRowsBackward(kComposed, gradient, lists, 11),
                 PoolRowsBackward(kCpu, gradient, lists, 11), "gradient");
    }
    ExpectNear(InverseLengths(kComposed, offsets), InverseLengths(kCpu, offsets), "lengths", 0);
    ExpectNear(RecencyWeights(kComposed, offsets, places, 3.5),
               RecencyWeights(kCpu, offsets, places, 3.5), "recency", 1e-6);
  }
}

TEST(ComposedTest, OnlyTheDeviceThatLooksKnowsAnIdentity) {
  EXPECT_TRUE(IsKnownIdentity(kCpu, at::arange(5, at::kLong), 5));
  EXPECT_FALSE(IsKnownIdentity(kCpu, at::arange(5, at::kLong), 6));
  EXPECT_FALSE(IsKnownIdentity(kCpu, TensorOf(std::vector<int64_t>{0, 2, 1}), 3));
  EXPECT_FALSE(IsKnownIdentity(kComposed, at::arange(5, at::kLong), 5));
}

TEST(ComposedTest, RandomRowsAreTheSame) {
  const RandomStream stream(9, "rows", 4);
  const at::Tensor memory = at::full({7, 9}, -1.0, at::kFloat);
  const at::Tensor wide = memory.slice(1, 2, 7);  // rows apart
  FillNormalRows(kCpu, stream, 3, 2, 0.5F, wide);
  const at::Tensor copy = at::empty({7, 5}, at::kFloat);
  FillNormalRows(kComposed, stream, 3, 2, 0.5F, copy);
  EXPECT_TRUE(at::equal(wide, copy));
  EXPECT_TRUE(at::all(memory.slice(1, 7) == -1.0).item<bool>());
  const at::Tensor key = Indices(13, 1000, "keys");
  EXPECT_TRUE(at::equal(DropoutMask(kCpu, stream, key, 6, 0.3),
                        DropoutMask(kComposed, stream, key, 6, 0.3)));
}

TEST(ComposedTest, DenseOptimizersEqualTheKernels) {
  for (const OptimizerRule rule : {OptimizerRule::kSgd, OptimizerRule::kMomentum,
                                   OptimizerRule::kAdagrad, OptimizerRule::kAdam}) {
    for (const bool decoupled : {false, true}) {
      const auto make = [] {
        return WeightTensors{Floats({1003}, "weight"), at::Tensor(), at::ones({1003}, at::kFloat),
                             at::zeros({1003}, at::kFloat), at::zeros({1003}, at::kFloat)};
      };
      WeightTensors a = make(), b = make();
      a.decays.slice(0, 0, 500).zero_();
      b.decays.slice(0, 0, 500).zero_();
      for (int64_t step = 0; step < 4; ++step) {
        a.gradient = b.gradient = Floats({1003}, "gradient") * static_cast<double>(step + 1);
        const OptimizerStep numbers = StepOf({.rule = rule,
                                              .learning_rate = 0.1,
                                              .epsilon = 1e-8,
                                              .beta1 = 0.9,
                                              .beta2 = 0.99,
                                              .momentum = 0.8,
                                              .decay = 0.05,
                                              .decoupled = decoupled},
                                             0.7, step, BiasCorrection::kInRate);
        UpdateWeights(kCpu, numbers, a);
        UpdateWeights(kComposed, numbers, b);
      }
      ExpectNear(b.weight, a.weight, "weights");
      ExpectNear(b.first, a.first, "first");
      ExpectNear(b.second, a.second, "second");
    }
  }
}

TEST(ComposedTest, ClippingEqualsTheKernel) {
  for (const double most : {0.0, 1.0, 1e6}) {
    at::Tensor a = Floats({5001}, "gradient"), b = a.clone();
    const at::Tensor want = ClipGradient(kCpu, a, most), got = ClipGradient(kComposed, b, most);
    ExpectNear(got, want, "norm", 1e-6);
    ExpectNear(b, a, "gradient", 1e-6);
    if (most == 1.0) {
      EXPECT_NEAR(a.norm().item<double>(), 1.0, 1e-5);
    }
  }
}

// Small integers: scores are exact and most of them tie.
struct RankingCase {
  at::Tensor q = at::floor(Floats({45, 4}, "q")), v = at::floor(Floats({2500, 4}, "v"));
  std::vector<int64_t> hidden_begin = {0}, hidden, begin = {0}, q_row, item, tie_before;

  explicit RankingCase() {
    for (int64_t i = 0; i < q.size(0); ++i) {
      for (int64_t j = i; j < v.size(0) && i % 4 != 0; j += 3) hidden.push_back(j);
      hidden_begin.push_back(std::ssize(hidden));
      for (int64_t t = 0; t < i % 3; ++t) {
        q_row.push_back(i);
        item.push_back((i * 97 + t * 1000) % v.size(0));
        tie_before.push_back(item.back());
      }
      begin.push_back(std::ssize(item));
    }
  }
};

TEST(ComposedTest, RankingEqualsTheKernels) {
  const RankingCase c;
  for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{1024}, c.v.size(0)}) {
    const at::Tensor v = c.v.slice(0, 0, n);
    std::vector<int64_t> hidden_begin = {0}, hidden;
    for (size_t i = 0; i + 1 < c.hidden_begin.size(); ++i) {
      for (int64_t k = c.hidden_begin[i]; k < c.hidden_begin[i + 1]; ++k) {
        if (c.hidden[static_cast<size_t>(k)] < n)
          hidden.push_back(c.hidden[static_cast<size_t>(k)]);
      }
      hidden_begin.push_back(std::ssize(hidden));
    }
    const RankedItems fast = PrepareItems(kCpu, v, {}), slow = PrepareItems(kComposed, v, {});
    EXPECT_FALSE(fast.scores);
    EXPECT_TRUE(slow.scores);
    const at::Tensor limit = at::floor(Floats({std::ssize(c.item)}, "limit"));
    const RowThresholds thresholds{c.begin, limit, c.tie_before};
    EXPECT_TRUE(at::equal(CountAbove(kCpu, c.q, fast, thresholds, {hidden_begin, hidden}),
                          CountAbove(kComposed, c.q, slow, thresholds, {hidden_begin, hidden})));
    for (const int64_t k : {1, 7, 3000}) {
      const BestItems want = TopK(kCpu, c.q, fast, {hidden_begin, hidden}, k);
      const BestItems got = TopK(kComposed, c.q, slow, {hidden_begin, hidden}, k);
      EXPECT_TRUE(at::equal(got.items, want.items)) << n << " items, k " << k;
      EXPECT_TRUE(at::equal(got.scores, want.scores)) << n << " items, k " << k;
    }
    if (n < c.v.size(0)) continue;
    EXPECT_TRUE(at::equal(ScorePairs(kCpu, c.q, fast, c.q_row, c.item),
                          ScorePairs(kComposed, c.q, slow, c.q_row, c.item)));
  }
}

TEST(ComposedTest, AScoreDoesNotDependOnItsTile) {
  const at::Tensor q = Floats({33, 19}, "q"), v = Floats({65, 19}, "v");
  const at::Tensor all = ComposedInnerProducts(q, v);
  for (int64_t i = 0; i < 33; i += 8) {
    EXPECT_TRUE(at::equal(ComposedInnerProducts(q.slice(0, i, i + 1), v), all.slice(0, i, i + 1)));
  }
  for (int64_t j = 0; j < 65; j += 7) {
    EXPECT_TRUE(at::equal(ComposedInnerProducts(q, v.slice(0, j, j + 3)), all.slice(1, j, j + 3)));
  }
}

TEST(ComposedTest, LargestMagnitudesEqualTheKernel) {
  at::Tensor x = Floats({9, 5}, "x");
  x[2][3] = std::numeric_limits<float>::quiet_NaN();
  x[4][0] = -std::numeric_limits<float>::infinity();
  const at::Tensor want = LargestMagnitudes(kCpu, x);
  EXPECT_TRUE(at::equal(LargestMagnitudes(kComposed, x), want));
  EXPECT_TRUE(std::isinf(ListOf<double>(want)[2]) && std::isinf(ListOf<double>(want)[4]));
  EXPECT_EQ(LargestMagnitudes(kComposed, x.slice(1, 0, 0)).numel(), 9);
}

}  // namespace
}  // namespace torii::kernels
