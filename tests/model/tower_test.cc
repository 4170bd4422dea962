#include "model/tower.h"

#include <ATen/ATen.h>

#include <cmath>
#include <deque>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "model/model_plan.h"

namespace torii::model {
namespace {

constexpr int64_t kItems = 11;

// The numbers of a tensor, in memory that stays.
std::span<const int64_t> HostList(const at::Tensor& tensor) {
  static std::deque<std::vector<int64_t>> lists;
  const at::Tensor held = tensor.contiguous();
  const int64_t* begin = held.const_data_ptr<int64_t>();
  return lists.emplace_back(begin, begin + held.numel());
}

// A user tower with a source of every kind, and random inputs for it.
struct Fixture {
  explicit Fixture(const std::string& user, bool normalize = false, const std::string& more = "") {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        "dim: 6 user { " + user + " } item { no_features: true } " + more, &config));
    config.mutable_user()->mutable_history();
    SideShape users{30,
                    {{"city", FeatureShape::kSingle, 9},
                     {"tags", FeatureShape::kBag, 8},
                     {"age", FeatureShape::kDense, 0, 2},
                     {"photo", FeatureShape::kDense, 0, 4, true}}};
    const auto made = MakePlan(config, users, {kItems, {}});
    EXPECT_TRUE(made.ok()) << made.status();
    plan = *made;
    tower = std::make_unique<Tower>(plan.user, config.user(),
                                    TowerOutput{.dim = config.dim(), .normalize = normalize},
                                    parameters);
    parameters.Allocate(3);
  }

  at::Tensor Normal(int64_t rows, int64_t columns) {
    std::normal_distribution<float> normal;
    at::Tensor out = at::empty({rows, columns}, at::kFloat);
    for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = normal(random);
    return out;
  }
  int64_t Below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random); }
  at::Tensor Picks(int64_t count, int64_t rows) {
    at::Tensor out = at::empty({count}, at::kLong);
    for (int64_t i = 0; i < count; ++i) out[i] = Below(rows);
    return out;
  }

  // Lists of 0 to 4 rows; each source that looks rows up has 10 distinct ones.
  TowerInput Input(int64_t n) {
    TowerInput input;
    input.n = n;
    input.dropout_key = at::arange(n, at::kLong).add(100);
    for (const TowerSource& source : plan.user.sources) {
      EncoderInput e;
      if (source.table < 0) {
        e.floats = Normal(n, source.width);
        input.inputs.push_back(e);
        continue;
      }
      e.rows = Normal(10, source.width).requires_grad_();
      if (source.kind == TowerSource::kBag || source.kind == TowerSource::kHistory) {
        e.offsets = at::zeros({n + 1}, at::kLong);
        for (int64_t i = 0; i < n; ++i) e.offsets[i + 1] = e.offsets[i] + Below(5);
        e.index = Picks(e.offsets[n].item<int64_t>(), 10);
        e.begins = HostList(e.offsets);
      } else {
        e.index = Picks(n, 10);
      }
      input.inputs.push_back(e);
    }
    return input;
  }

  std::mt19937_64 random{17};
  ModelConfig config;
  ModelPlan plan;
  DenseParameters parameters;
  std::unique_ptr<Tower> tower;
};

constexpr DropoutStep kNoDropout;

// The rows [begin, begin + count) of an input.
TowerInput Slice(const TowerInput& input, int64_t begin, int64_t count) {
  TowerInput out;
  out.n = count;
  out.dropout_key = input.dropout_key.narrow(0, begin, count);
  for (const EncoderInput& e : input.inputs) {
    EncoderInput& part = out.inputs.emplace_back(e);
    if (e.floats.defined()) {
      part.floats = e.floats.narrow(0, begin, count);
    } else if (!e.offsets.defined()) {
      part.index = e.index.narrow(0, begin, count);
    } else {
      const int64_t first = e.offsets[begin].item<int64_t>();
      const int64_t last = e.offsets[begin + count].item<int64_t>();
      part.index = e.index.narrow(0, first, last - first);
      part.offsets = e.offsets.narrow(0, begin, count + 1) - first;
      part.begins = HostList(part.offsets);
    }
  }
  return out;
}

const char* const kTowers[] = {
    "",
    "trunk { mlp { hidden: [9, 7] activation: TANH } } embedding_dim: 5 history { recency {} }",
    "trunk { mlp { hidden: 8 activation: GELU layer_norm: true } } pooling: SUM_ROWS",
    "join { sum {} }",
    "join { sum {} } trunk { mlp { hidden: 8 activation: SILU } } "
    "history { share_item_table: false }",
    "trunk { mlp { hidden: 8 activation: LEAKY_RELU } }",
    "trunk { mlp { hidden: 8 activation: RELU dropout: 0.4 } }",
    "trunk { mlp { hidden: [9, 6] } } head { none {} }",
    "trunk { residual {} }",
    "join { sum {} } trunk { residual { blocks: 1 hidden: 9 activation: GELU dropout: 0.3 } } "
    "head { none {} }",
    "trunk { residual { blocks: 3 width: 9 hidden: 5 } }",
    "history { gru { hidden: 4 } }",
    "join { sum {} } history { gru {} }",
};

class TowerOfEveryKind : public ::testing::TestWithParam<std::tuple<const char*, bool>> {
 protected:
  TowerOfEveryKind() : f(std::get<0>(GetParam()), std::get<1>(GetParam())) {}
  Fixture f;
  const DropoutStep dropout{true, 5, 2};
};

// Directional derivatives along random directions, by central differences.
TEST_P(TowerOfEveryKind, GradientEqualsFiniteDifferences) {
  const int64_t n = 7;
  const TowerInput input = f.Input(n);
  const at::Tensor toward = f.Normal(n, 6);
  const auto value = [&] {
    return (f.tower->Forward(input, dropout) * toward).to(at::kDouble).sum();
  };
  // Biases of 0 would sit on the kink of some activations.
  f.parameters.flat().add_(f.Normal(1, f.parameters.size()).view(-1), 0.1);
  value().backward();
  std::vector<std::pair<at::Tensor, at::Tensor>> checked;  // data without graph, gradient
  checked.emplace_back(f.parameters.flat(), f.parameters.grad().clone());
  for (const EncoderInput& e : input.inputs) {
    if (!e.rows.defined()) continue;
    ASSERT_TRUE(e.rows.grad().defined());
    checked.emplace_back(e.rows.detach(), e.rows.grad().clone());
  }
  for (auto& [data, grad] : checked) {
    if (data.numel() == 0) continue;
    // Along the gradient itself plus noise: a large derivative, so that rounding matters little.
    at::Tensor direction = f.Normal(1, data.numel()).view(data.sizes());
    direction = grad / grad.norm().clamp_min(1e-9) + 0.3 * direction / direction.norm();
    const double step = 2e-3, expected = (grad * direction).to(at::kDouble).sum().item<double>();
    const at::Tensor before = data.clone();
    data.copy_(before + direction * step);
    const double above = value().item<double>();
    data.copy_(before - direction * step);
    const double below = value().item<double>();
    data.copy_(before);
    EXPECT_NEAR((above - below) / (2 * step), expected, 0.01 * std::abs(expected) + 2e-3);
  }
}

TEST_P(TowerOfEveryKind, RowDependsOnItsOwnInputAlone) {
  const int64_t n = 13;
  const TowerInput input = f.Input(n);
  const at::Tensor all = f.tower->Forward(input, dropout).detach();
  EXPECT_EQ(all.sizes(), at::IntArrayRef({n, 6}));
  for (const auto& [begin, count] :
       {std::pair<int64_t, int64_t>{0, 1}, {4, 1}, {5, 7}, {12, 1}, {6, 0}}) {
    const at::Tensor part = f.tower->Forward(Slice(input, begin, count), dropout).detach();
    EXPECT_TRUE(at::allclose(part, all.narrow(0, begin, count), 1e-5, 1e-6)) << begin;
  }
  // The same bits when another row changes.
  TowerInput changed = input;
  for (EncoderInput& e : changed.inputs) {
    if (!e.floats.defined()) continue;
    e.floats = e.floats.clone();
    e.floats[3].mul_(-100);
  }
  const at::Tensor after = f.tower->Forward(changed, dropout).detach();
  EXPECT_FALSE(at::equal(after[3], all[3]));
  EXPECT_TRUE(at::equal(after.narrow(0, 0, 3), all.narrow(0, 0, 3)));
  EXPECT_TRUE(at::equal(after.narrow(0, 4, n - 4), all.narrow(0, 4, n - 4)));
}

TEST_P(TowerOfEveryKind, WorksWithoutRows) {
  const TowerInput input = f.Input(0);
  const at::Tensor out = f.tower->Forward(input, dropout);
  EXPECT_EQ(out.sizes(), at::IntArrayRef({0, 6}));
  out.backward(at::empty({0, 6}));
  EXPECT_EQ(f.parameters.grad().abs().sum().item<float>(), 0);
  for (const EncoderInput& e : input.inputs) {
    if (!e.rows.defined()) continue;
    EXPECT_TRUE(at::equal(e.rows.grad(), at::zeros_like(e.rows)));
  }
}

INSTANTIATE_TEST_SUITE_P(All, TowerOfEveryKind,
                         ::testing::Combine(::testing::ValuesIn(kTowers), ::testing::Bool()));

TEST(TowerTest, SumOfIdAndHistoryIsWhatTheFormulaSays) {
  Fixture f("join { sum {} } no_features: true");
  EXPECT_EQ(f.parameters.size(), 0);
  const TowerInput input = f.Input(5);
  const EncoderInput &id = input.inputs[0], &history = input.inputs[1];
  const at::Tensor out = f.tower->Forward(input, kNoDropout).detach();
  for (int64_t i = 0; i < 5; ++i) {
    at::Tensor expected = id.rows.detach()[id.index[i].item<int64_t>()].clone();
    const int64_t begin = history.offsets[i].item<int64_t>(),
                  end = history.offsets[i + 1].item<int64_t>();
    for (int64_t k = begin; k < end; ++k) {
      expected += history.rows.detach()[history.index[k].item<int64_t>()] /
                  static_cast<double>(end - begin);
    }
    EXPECT_TRUE(at::allclose(out[i], expected, 1e-5, 1e-6)) << i;
  }
}

TEST(TowerTest, ConcatKeepsTheOrderOfThePlanAndRawFloats) {
  Fixture f("use_id: false feature: ['age']");
  const TowerInput input = f.Input(4);
  // Weights that pick the joined columns one by one: history (6 wide), then age (2 wide).
  f.parameters.flat().zero_();
  for (int64_t d = 0; d < 6; ++d) {
    f.parameters.flat()[f.parameters.info()[0].begin + d * 8 + d + 2] = 1;
  }
  const at::Tensor out = f.tower->Forward(input, kNoDropout).detach();
  EXPECT_TRUE(at::equal(out.narrow(1, 4, 2), input.inputs[1].floats));
}

TEST(TowerTest, NormalizedRowsHaveLengthOneAndZerosStayHarmless) {
  Fixture f("join { sum {} } no_features: true use_id: false", /*normalize=*/true);
  const TowerInput input = f.Input(20);
  const at::Tensor out = f.tower->Forward(input, kNoDropout);
  out.sum().backward();
  EXPECT_TRUE(at::isfinite(input.inputs[0].rows.grad()).all().item<bool>());
  EXPECT_LT(input.inputs[0].rows.grad().abs().max().item<double>(), 100);
  int empty = 0;
  for (int64_t i = 0; i < 20; ++i) {
    const bool has_none = input.inputs[0].offsets[i].item<int64_t>() ==
                          input.inputs[0].offsets[i + 1].item<int64_t>();
    empty += has_none;
    EXPECT_NEAR(out[i].norm().item<double>(), has_none ? 0 : 1, 1e-6);
  }
  EXPECT_GT(empty, 0);
}

TEST(TowerTest, ZeroVectorPassesNoGradientToTheWeights) {
  Fixture f("no_features: true use_id: false", /*normalize=*/true);
  TowerInput input = f.Input(1);
  input.inputs[0].offsets = at::zeros({2}, at::kLong);
  input.inputs[0].index = at::empty({0}, at::kLong);
  f.tower->Forward(input, kNoDropout).sum().backward();
  EXPECT_EQ(f.parameters.grad().abs().sum().item<double>(), 0);
}

TEST(TowerTest, SharedRowsCollectTheGradientsOfAllTheirInputs) {
  Fixture f("join { sum {} } no_features: true");
  TowerInput input = f.Input(3);
  input.inputs[1].rows = input.inputs[0].rows;
  input.inputs[1].index = at::tensor({7, 7, 8}, at::kLong);
  input.inputs[1].offsets = at::tensor({0, 1, 2, 3}, at::kLong);
  input.inputs[0].index = at::tensor({7, 1, 2}, at::kLong);
  f.tower->Forward(input, kNoDropout).sum().backward();
  EXPECT_EQ(input.inputs[0].rows.grad()[7][0].item<float>(), 3);
  EXPECT_EQ(input.inputs[0].rows.grad()[8][0].item<float>(), 1);
  EXPECT_EQ(input.inputs[0].rows.grad()[0][0].item<float>(), 0);
}

// A tower of one picked row alone, which computes each distinct row once.
TEST(TowerTest, RepeatedRowsGetEqualVectorsAndTheSumOfTheirGradients) {
  Fixture f("no_features: true");
  f.config.mutable_item()->mutable_trunk()->mutable_mlp()->add_hidden(8);
  DenseParameters parameters;
  const Tower tower(f.plan.item, f.config.item(), {.dim = 6, .normalize = true}, parameters);
  parameters.Allocate(3);
  ASSERT_EQ(f.plan.item.sources.size(), 1U);
  const at::Tensor rows = f.Normal(4, f.plan.item.sources[0].width).requires_grad_();
  const at::Tensor index = at::tensor({2, 0, 2, 3, 2, 0}, at::kLong), toward = f.Normal(6, 6);
  const at::Tensor out = tower.Forward({6, {{rows, index, {}, {}, {}}}, {}}, kNoDropout);
  ASSERT_EQ(out.sizes(), at::IntArrayRef({6, 6}));
  EXPECT_TRUE(at::equal(out[0], out[2]) && at::equal(out[0], out[4]) && at::equal(out[1], out[5]));
  out.backward(toward);
  const at::Tensor grad = parameters.grad().clone();
  // More distinct rows than asked for: the rows are picked first.
  parameters.ZeroGrad();
  const at::Tensor more = at::cat({rows.detach(), f.Normal(5, rows.size(1))}).requires_grad_();
  const at::Tensor again = tower.Forward({6, {{more, index, {}, {}, {}}}, {}}, kNoDropout);
  EXPECT_TRUE(at::equal(again.detach(), out.detach()));
  again.backward(toward);
  EXPECT_TRUE(at::allclose(parameters.grad(), grad, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(more.grad().narrow(0, 0, 4), rows.grad(), 1e-4, 1e-5));
  EXPECT_EQ(more.grad().narrow(0, 4, 5).abs().sum().item<float>(), 0);
  EXPECT_EQ(rows.grad()[1].abs().sum().item<float>(), 0);
}

TEST(TowerTest, DropoutDependsOnSeedStepAndKeyOnlyAndKeepsTheMean) {
  Fixture f("trunk { mlp { hidden: 4000 activation: TANH dropout: 0.25 } }");
  // With a final layer that adds up, the output is the sum of what dropout left.
  TowerInput input = f.Input(2);
  input.dropout_key = at::tensor({5, 6}, at::kLong);
  const auto run = [&](const DropoutStep& d) { return f.tower->Forward(input, d).detach(); };
  const at::Tensor plain = run(kNoDropout), dropped = run({true, 5, 2});
  EXPECT_TRUE(at::equal(run({false, 5, 2}), plain));
  EXPECT_FALSE(at::equal(dropped, plain));
  EXPECT_TRUE(at::equal(dropped, run({true, 5, 2})));
  EXPECT_FALSE(at::equal(dropped, run({true, 6, 2})));
  EXPECT_FALSE(at::equal(dropped, run({true, 5, 3})));
  // The key decides, not the place in the batch.
  TowerInput second = Slice(input, 1, 1);
  EXPECT_TRUE(
      at::allclose(f.tower->Forward(second, {true, 5, 2}).detach()[0], dropped[1], 1e-4, 1e-5));
  at::Tensor mean = at::zeros_like(plain);
  for (int64_t step = 0; step < 200; ++step) mean += run({true, 5, step}) / 200;
  EXPECT_LT((mean - plain).norm().item<double>(), 0.3 * plain.norm().item<double>());
  input.dropout_key = at::Tensor();
  EXPECT_TRUE(at::equal(run({true, 5, 2}), plain));
}

}  // namespace
}  // namespace torii::model
