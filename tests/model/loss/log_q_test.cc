// From facts to offsets, and the golden losses of both pairings.
#include "model/loss/log_q.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "model/loss/softmax.h"
#include "model/scorer/inner_product.h"

namespace torii::model {
namespace {

constexpr double kTolerance = 1e-6;  // offsets are float32
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct SourceFacts {
  std::string name;
  int64_t draws;
  std::vector<int> copies;
  std::vector<double> expected;
};

ColumnFacts FactsOf(const std::vector<SourceFacts>& sources, int64_t corpus,
                    bool counts_own_positive = true) {
  ColumnFacts facts;
  std::vector<at::Tensor> copies, expected;
  for (const SourceFacts& source : sources) {
    facts.sources.push_back(source.name);
    facts.draws.push_back(source.draws);
    copies.push_back(at::tensor(source.copies, at::kInt));
    expected.push_back(at::tensor(source.expected, at::kDouble));
  }
  facts.multiplicity = at::stack(copies);
  facts.expected = at::stack(expected);
  facts.corpus_items = corpus;
  facts.counts_own_positive = counts_own_positive;
  return facts;
}

SoftmaxConfig ConfigOf(SoftmaxConfig::Pairing pairing) {
  SoftmaxConfig config;
  config.set_pairing(pairing);
  return config;
}

std::vector<double> Values(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

at::Tensor Ints(std::vector<int64_t> x) { return at::tensor(x, at::kLong); }

// Users (1,0) (0,1) (1,1) (1,-1), items a=(1,0) b=(0,1) c=(.5,.5), positives a b a c of shares .5
// .25 .25: the losses of each row.
std::vector<double> GoldenLosses(const SoftmaxConfig& config, double tau) {
  LossInput input;
  input.q = at::tensor({1.F, 0.F, 0.F, 1.F, 1.F, 1.F, 1.F, -1.F}).view({4, 2});
  input.v = at::tensor({1.F, 0.F, 0.F, 1.F, .5F, .5F}).view({3, 2});
  input.rows = RowGroups::OneEach(4);
  input.positive = Ints({0, 1, 0, 2});
  input.facts = FactsOf({{"in_batch", 3, {2, 1, 1}, {1.5, .75, .75}}}, 3);
  input.scorer = MakeInnerProduct(tau);
  SoftmaxLoss loss(config, kernels::Device::Cpu());
  std::vector<double> losses;
  for (int64_t row = 0; row < 4; ++row) {
    input.weight = at::zeros({4});
    input.weight[row] = 1;
    losses.push_back(loss.Finish(input, {})->value.item<double>());
  }
  return losses;
}

void ExpectLosses(const std::vector<double>& losses, const std::vector<double>& expected) {
  ASSERT_EQ(losses.size(), expected.size());
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 2e-6) << i;
}

TEST(LogQTest, PairingAGivesTheGoldenLosses) {
  ExpectLosses(GoldenLosses(ConfigOf(SoftmaxConfig::A), .5),
               {.513394, .513394, 1.299283, 2.400847});
}

TEST(LogQTest, PairingBGivesTheGoldenLosses) {
  ExpectLosses(GoldenLosses(ConfigOf(SoftmaxConfig::B), .5),
               {1.100753, .407606, 1.791759, 2.142932});
}

TEST(LogQTest, WithoutCorrectionTheGoldenLossesArePlain) {
  for (const bool all_off : {true, false}) {
    SoftmaxConfig config = ConfigOf(SoftmaxConfig::A);
    if (all_off) {
      config.set_log_q(false);
    } else {
      config.add_uncorrected("in_batch");
    }
    ExpectLosses(GoldenLosses(config, 1), {.680270, .851129, 1.098612, 1.917576});
    config.set_pairing(SoftmaxConfig::B);
    ExpectLosses(GoldenLosses(config, 1), {1.090046, .851129, 1.386294, 1.917576});
  }
}

TEST(LogQTest, InBatchColumnsCarryLogMultiplicityMinusLogE) {
  const ColumnFacts facts = FactsOf({{"in_batch", 3, {2, 1, 1}, {1.5, .75, .75}}}, 3);
  const LogQ a = LogQOf(ConfigOf(SoftmaxConfig::A), facts, Ints({0, 1, 0, 2}));
  const std::vector<double> offsets = Values(a.column_offset);
  EXPECT_NEAR(offsets[0], std::log(2.0) - std::log(1.5), kTolerance);
  EXPECT_NEAR(offsets[1], -std::log(.75), kTolerance);
  EXPECT_NEAR(offsets[2], -std::log(.75), kTolerance);
  EXPECT_EQ(Values(a.positive_offset), (std::vector<double>(4, 0)));
  EXPECT_EQ(Values(a.target_offset), (std::vector<double>(4, 0)));
}

// In batch 2 w, uniform 8 / 4; a source that is not corrected counts as uniform.
TEST(LogQTest, SourcesAddUp) {
  const ColumnFacts facts =
      FactsOf({{"in_batch", 2, {2, 1}, {2 * .6, 2 * .3}}, {"uniform", 8, {1, 3}, {2, 2}}}, 4);
  const auto offsets = [&](const SoftmaxConfig& config) {
    return Values(LogQOf(config, facts, Ints({0})).column_offset);
  };
  SoftmaxConfig config;
  EXPECT_NEAR(offsets(config)[0], std::log(3) - std::log(2 * .6 + 2), kTolerance);
  EXPECT_NEAR(offsets(config)[1], std::log(4) - std::log(2 * .3 + 2), kTolerance);
  config.add_uncorrected("in_batch");
  EXPECT_NEAR(offsets(config)[0], std::log(3) - std::log(2 / 4. + 2), kTolerance);
  EXPECT_NEAR(offsets(config)[1], std::log(4) - std::log(2 / 4. + 2), kTolerance);
  config.add_uncorrected("uniform");
  EXPECT_NEAR(offsets(config)[0], std::log(3), kTolerance) << "no correction at all";
  config.clear_uncorrected();
  config.add_uncorrected("uniform");
  EXPECT_NEAR(offsets(config)[0], std::log(3) - std::log(2 * .6 + 2), kTolerance);
}

TEST(LogQTest, PairingBCorrectsPositivesByTheirShare) {
  const ColumnFacts facts =
      FactsOf({{"in_batch", 2, {2, 1}, {2 * .6, 2 * .3}}, {"uniform", 8, {1, 3}, {2, 2}}}, 4);
  const LogQ b = LogQOf(ConfigOf(SoftmaxConfig::B), facts, Ints({0, 0, 1}));
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t p = i < 2 ? 0 : 1;
    EXPECT_EQ(b.positive_offset[i].item<double>(), b.column_offset[p].item<double>());
    const double share = (2 * (i < 2 ? .6 : .3) + 2) / (2 + 8);
    EXPECT_NEAR(b.target_offset[i].item<double>(), -std::log(share), kTolerance);
  }
}

// A column that only its own row sees, and one that the source drew too.
TEST(LogQTest, APositiveThatNoSourceHoldsCountsOnceMore) {
  const ColumnFacts facts = FactsOf({{"uniform", 1, {1, 0}, {1e-3, 1e-3}}}, 1000, false);
  const LogQ a = LogQOf(ConfigOf(SoftmaxConfig::A), facts, Ints({0, 1}));
  EXPECT_NEAR(a.column_offset[0].item<double>(), -std::log(1e-3), 1e-5);
  EXPECT_EQ(a.column_offset[1].item<double>(), -kInfinity);
  EXPECT_EQ(Values(a.positive_offset), (std::vector<double>{0, 0}));
  const LogQ b = LogQOf(ConfigOf(SoftmaxConfig::B), facts, Ints({0, 1}));
  EXPECT_NEAR(b.positive_offset[0].item<double>(), std::log(2.0) - std::log(1e-3), 1e-5);
  EXPECT_NEAR(b.positive_offset[1].item<double>(), -std::log(1e-3), 1e-5);
}

TEST(LogQTest, NothingExpectedCountsAsNoCorrection) {
  for (const auto pairing : {SoftmaxConfig::A, SoftmaxConfig::B}) {
    const LogQ alone =
        LogQOf(ConfigOf(pairing), FactsOf({{"in_batch", 0, {1}, {0}}}, 2), Ints({0}));
    EXPECT_EQ(Values(alone.column_offset), (std::vector<double>{0}));
    EXPECT_EQ(Values(alone.target_offset), (std::vector<double>{0}));
    const LogQ unseen =
        LogQOf(ConfigOf(pairing), FactsOf({{"in_batch", 2, {1, 2}, {2, 0}}}, 2), Ints({1, 1, 0}));
    EXPECT_NEAR(unseen.column_offset[1].item<double>(), std::log(2.0), kTolerance);
    for (const auto& t : {unseen.column_offset, unseen.positive_offset, unseen.target_offset}) {
      EXPECT_TRUE(at::isfinite(t).all().item<bool>());
    }
  }
}

TEST(LogQTest, TheFullCorpusHasNoOffsets) {
  const ColumnFacts facts = FactsOf({{"full_corpus", 3, {1, 1, 1}, {1, 1, 1}}}, 3);
  const LogQ a = LogQOf(ConfigOf(SoftmaxConfig::A), facts, Ints({2}));
  EXPECT_EQ(Values(a.column_offset), std::vector<double>(3, 0));
}

}  // namespace
}  // namespace torii::model
