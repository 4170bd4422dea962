// The columns of a step and their offsets on one rank.
#include "sampler/negative_sampler.h"

#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "tests/sampler/draw_on_ranks.h"

namespace torii::sampler {
namespace {

constexpr double kTolerance = 1e-6;  // offsets are float32
constexpr double kInfinity = std::numeric_limits<double>::infinity();

SamplerConfig InBatch(SamplerConfig::Pairing pairing) {
  SamplerConfig config;
  config.set_pairing(pairing);
  return config;
}

// Row losses from the offsets, as the softmax defines them.
std::vector<double> Losses(const Candidates& c, const std::vector<std::vector<double>>& scores) {
  const auto items = SeenItems(c);
  std::vector<double> losses;
  for (int64_t i = 0; i < c.positive.size(0); ++i) {
    const auto& row = scores[static_cast<size_t>(i)];
    const auto p = c.positive[i].item<int64_t>();
    double sum = 0, target = 0;
    for (int64_t j = 0; j < static_cast<int64_t>(items.size()); ++j) {
      const double s = row[static_cast<size_t>(items[static_cast<size_t>(j)])];
      const double offset =
          j == p ? c.positive_offset[i].item<double>() : c.column_offset[j].item<double>();
      sum += std::exp(s + offset);
      if (j == p) target = s + c.target_offset[i].item<double>();
    }
    losses.push_back(std::log(sum) - target);
  }
  return losses;
}

// Users (1,0) (0,1) (1,1) (1,-1), items a=(1,0) b=(0,1) c=(.5,.5), positives a b a c, shares .5 .25
// .25.
struct GoldenExample {
  std::vector<int64_t> counts = {2, 1, 1};
  GlobalBatch batch = BatchOf({0, 1, 0, 2});
  std::vector<std::vector<double>> Scores(double tau) const {
    std::vector<std::vector<double>> scores = {{1, 0, .5}, {0, 1, .5}, {1, 1, 1}, {1, -1, 0}};
    for (auto& row : scores) {
      for (double& s : row) s /= tau;
    }
    return scores;
  }
};

void ExpectLosses(const std::vector<double>& losses, const std::vector<double>& expected) {
  ASSERT_EQ(losses.size(), expected.size());
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 2e-6) << i;
}

TEST(NegativeSamplerTest, PairingAGivesTheGoldenLosses) {
  const GoldenExample golden;
  const Candidates c = DrawOnOne(InBatch(SamplerConfig::A), golden.counts, golden.batch);
  ExpectLosses(Losses(c, golden.Scores(.5)), {.513394, .513394, 1.299283, 2.400847});
}

TEST(NegativeSamplerTest, PairingBGivesTheGoldenLosses) {
  const GoldenExample golden;
  const Candidates c = DrawOnOne(InBatch(SamplerConfig::B), golden.counts, golden.batch);
  ExpectLosses(Losses(c, golden.Scores(.5)), {1.100753, .407606, 1.791759, 2.142932});
}

TEST(NegativeSamplerTest, WithoutCorrectionTheGoldenLossesArePlain) {
  const GoldenExample golden;
  SamplerConfig config = InBatch(SamplerConfig::A);
  config.set_correct_in_batch(false);
  ExpectLosses(Losses(DrawOnOne(config, golden.counts, golden.batch), golden.Scores(1)),
               {.680270, .851129, 1.098612, 1.917576});
  config.set_pairing(SamplerConfig::B);
  ExpectLosses(Losses(DrawOnOne(config, golden.counts, golden.batch), golden.Scores(1)),
               {1.090046, .851129, 1.386294, 1.917576});
}

// E = 3 w_j and all copies of an item in one column.
TEST(NegativeSamplerTest, InBatchColumnsCarryLogMultiplicityMinusLogE) {
  const GoldenExample golden;
  const Candidates c = DrawOnOne(InBatch(SamplerConfig::A), golden.counts, golden.batch);
  EXPECT_EQ(SeenItems(c), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_FALSE(c.seen_columns.defined());
  EXPECT_EQ(c.owner_columns, (std::vector<int64_t>{3}));
  const std::vector<double> offsets = Values(c.column_offset);
  EXPECT_NEAR(offsets[0], std::log(2.0) - std::log(1.5), kTolerance);
  EXPECT_NEAR(offsets[1], -std::log(.75), kTolerance);
  EXPECT_NEAR(offsets[2], -std::log(.75), kTolerance);
  EXPECT_EQ(Values(c.positive), (std::vector<double>{0, 1, 0, 2}));
  EXPECT_EQ(Values(c.positive_offset), (std::vector<double>(4, 0)));
  EXPECT_EQ(Values(c.target_offset), (std::vector<double>(4, 0)));
  EXPECT_FALSE(c.excluded_begin.defined());
  EXPECT_EQ(c.weight_sum, 4);
}

// Expected copies, summed over many steps of extras; in-batch copies are whatever the batch holds.
TEST(NegativeSamplerTest, OffsetsOfAMixtureMatchTheMeanMultiplicities) {
  const std::vector<int64_t> counts = {40, 20, 10, 5, 5, 0, 1};
  SamplerConfig config;
  config.set_in_batch(SamplerConfig::NONE);
  config.set_uniform(30);
  config.set_popularity(50);
  constexpr int64_t kSteps = 4000;
  auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  const auto sampler = NegativeSampler::Create(config, counts, 3).value();

  std::vector<double> copies(counts.size(), 0), expected(counts.size(), 0);
  for (int64_t step = 0; step < kSteps; ++step) {
    const Candidates c = sampler->Draw(*comm, step, {}, {}).value();
    const auto items = SeenItems(c);
    for (size_t j = 0; j < items.size(); ++j) {
      // m = exp(offset) E, with E written down here once more.
      const auto item = static_cast<size_t>(items[j]);
      double mass = 0;
      for (const int64_t n : counts) mass += std::pow(static_cast<double>(n), .75);
      expected[item] = 30 / 7. + 50 * std::pow(static_cast<double>(counts[item]), .75) / mass;
      const double m =
          std::exp(c.column_offset[static_cast<int64_t>(j)].item<double>()) * expected[item];
      EXPECT_NEAR(m, std::round(m), 1e-4) << "a multiplicity is a whole number";
      copies[item] += std::round(m);
    }
  }

  EXPECT_EQ(std::accumulate(copies.begin(), copies.end(), 0.0), 80.0 * kSteps);
  for (size_t j = 0; j < counts.size(); ++j) {
    const double mean = copies[j] / kSteps;
    EXPECT_NEAR(mean, expected[j], 5 * std::sqrt(expected[j] / kSteps)) << "item " << j;
  }
}

TEST(NegativeSamplerTest, SourcesAddUp) {
  const std::vector<int64_t> counts = {6, 3, 1, 0};
  SamplerConfig config;
  config.set_uniform(8);
  const GlobalBatch batch = BatchOf({0, 0, 1});
  // In batch 2 w, uniform 8 / 4; each alternative is the E of items 0, 1, 2 up to its multiplicity.
  const auto offset_of = [&](const SamplerConfig& with, int64_t item) {
    const Candidates c = DrawOnOne(with, counts, batch);
    const auto items = SeenItems(c);
    const auto at = std::find(items.begin(), items.end(), item) - items.begin();
    return c.column_offset[at].item<double>();
  };
  SamplerConfig off = config;
  off.set_correct_in_batch(false);
  off.set_correct_uniform(false);
  const double log_m0 = offset_of(off, 0), log_m1 = offset_of(off, 1);
  EXPECT_NEAR(std::exp(log_m0), std::round(std::exp(log_m0)), 1e-5) << "only log m is left";

  EXPECT_NEAR(offset_of(config, 0), log_m0 - std::log(2 * .6 + 2), kTolerance);
  EXPECT_NEAR(offset_of(config, 1), log_m1 - std::log(2 * .3 + 2), kTolerance);

  config.set_correct_in_batch(false);
  EXPECT_NEAR(offset_of(config, 0), log_m0 - std::log(2 / 4. + 2), kTolerance);
  EXPECT_NEAR(offset_of(config, 1), log_m1 - std::log(2 / 4. + 2), kTolerance);

  config.set_correct_in_batch(true);
  config.set_correct_uniform(false);
  EXPECT_NEAR(offset_of(config, 0), log_m0 - std::log(2 * .6 + 2), kTolerance);
}

TEST(NegativeSamplerTest, PairingBCorrectsPositivesByTheirShare) {
  SamplerConfig config = InBatch(SamplerConfig::B);
  config.set_uniform(8);
  const Candidates c = DrawOnOne(config, {6, 3, 1, 0}, BatchOf({0, 0, 1}));
  for (int64_t i = 0; i < 3; ++i) {
    const auto p = c.positive[i].item<int64_t>();
    EXPECT_EQ(c.positive_offset[i].item<double>(), c.column_offset[p].item<double>());
    const double share = (2 * (i < 2 ? .6 : .3) + 2) / (2 + 8);
    EXPECT_NEAR(c.target_offset[i].item<double>(), -std::log(share), kTolerance);
  }
}

// Without in-batch negatives a row sees the extras and its own positive, not the other rows'
// positives.
TEST(NegativeSamplerTest, OtherRowsPositivesAreNoColumnsWithoutInBatch) {
  const std::vector<int64_t> counts(1000, 1);
  SamplerConfig config;
  config.set_in_batch(SamplerConfig::NONE);
  config.set_uniform(1);
  const int64_t extra = SeenItems(DrawOnOne(config, counts, BatchOf({})))[0];
  const int64_t other = (extra + 1) % 1000;

  const Candidates a = DrawOnOne(config, counts, BatchOf({extra, other}));
  const int64_t extra_column = extra < other ? 0 : 1;
  EXPECT_NEAR(a.column_offset[extra_column].item<double>(), -std::log(1e-3), 1e-5);
  EXPECT_EQ(a.column_offset[1 - extra_column].item<double>(), -kInfinity);
  EXPECT_EQ(Values(a.positive_offset), (std::vector<double>{0, 0}));

  config.set_pairing(SamplerConfig::B);
  const Candidates b = DrawOnOne(config, counts, BatchOf({extra, other}));
  EXPECT_NEAR(b.positive_offset[0].item<double>(), std::log(2.0) - std::log(1e-3), 1e-5);
  EXPECT_NEAR(b.positive_offset[1].item<double>(), -std::log(1e-3), 1e-5);
}

TEST(NegativeSamplerTest, NothingExpectedCountsAsNoCorrection) {
  for (const auto pairing : {SamplerConfig::A, SamplerConfig::B}) {
    const Candidates alone = DrawOnOne(InBatch(pairing), {3, 1}, BatchOf({1}));
    EXPECT_EQ(Values(alone.column_offset), (std::vector<double>{0}));
    EXPECT_EQ(Values(alone.target_offset), (std::vector<double>{0}));

    const Candidates unseen = DrawOnOne(InBatch(pairing), {3, 0}, BatchOf({1, 1, 0}));
    EXPECT_NEAR(unseen.column_offset[1].item<double>(), std::log(2.0), kTolerance);
    for (const auto& t : {unseen.column_offset, unseen.positive_offset, unseen.target_offset}) {
      EXPECT_TRUE(t.isfinite().all().item<bool>());
    }
  }
}

TEST(NegativeSamplerTest, TheFullCorpusIsScoredWithoutOffsets) {
  SamplerConfig config;
  config.set_full_corpus(true);
  const Candidates c = DrawOnOne(config, {5, 0, 2, 1}, BatchOf({2, 2, 3}));
  EXPECT_EQ(SeenItems(c), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(Values(c.column_offset), std::vector<double>(4, 0));
  EXPECT_EQ(Values(c.positive), (std::vector<double>{2, 2, 3}));
}

TEST(NegativeSamplerTest, KnownPositivesAreMaskedButNotTheRowsOwn) {
  SamplerConfig config;
  config.set_mask_known_positives(true);
  GlobalBatch batch = BatchOf({4, 1, 7, 7});
  // Repeats, items that are no columns, the own positive.
  batch.known = {{7, 9, 1, 4, 7}, {}, {1, 7, 7}, {2}};
  const Candidates c = DrawOnOne(config, std::vector<int64_t>(10, 1), batch);
  ASSERT_EQ(SeenItems(c), (std::vector<int64_t>{1, 4, 7}));
  EXPECT_EQ(Values(c.excluded_begin), (std::vector<double>{0, 2, 2, 3, 3}));
  EXPECT_EQ(Values(c.excluded), (std::vector<double>{0, 2, 0}));
}

TEST(NegativeSamplerTest, RowsThatShareAUserShareTheListOfKnownPositives) {
  SamplerConfig config;
  config.set_mask_known_positives(true);
  const std::vector<int64_t> positives = {4, 1, 7, 7}, row_begin = {0, 2, 2, 4};
  const std::vector<float> weights(4, 1);
  const std::vector<std::vector<int32_t>> known = {{7, 4, 1}, {1}, {2, 4}};
  auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  const auto sampler = NegativeSampler::Create(config, std::vector<int64_t>(10, 1), 3).value();
  const Candidates c =
      sampler
          ->Draw(*comm, 0, {positives, weights, row_begin},
                 [&](int64_t query) {
                   return std::span<const int32_t>(known[static_cast<size_t>(query)]);
                 })
          .value();
  ASSERT_EQ(SeenItems(c), (std::vector<int64_t>{1, 4, 7}));
  EXPECT_EQ(Values(c.excluded_begin), (std::vector<double>{0, 3, 4, 5}));
  EXPECT_EQ(Values(c.excluded), (std::vector<double>{0, 1, 2, 0, 1}));
}

TEST(NegativeSamplerTest, ExtrasAreAFunctionOfTheStepAlone) {
  const std::vector<int64_t> counts(100000, 1);
  SamplerConfig config;
  config.set_uniform(20);
  config.set_popularity(20);
  const auto first = SeenItems(DrawOnOne(config, counts, BatchOf({}), 8));
  EXPECT_EQ(SeenItems(DrawOnOne(config, counts, BatchOf({}), 8)), first);
  EXPECT_NE(SeenItems(DrawOnOne(config, counts, BatchOf({}), 9)), first);
  EXPECT_GT(first.size(), 35u) << "the two sources draw different items";
}

TEST(NegativeSamplerTest, DescriptionsNameSourcesAndCorrections) {
  const auto text = [](const SamplerConfig& config) {
    return NegativeSampler::Create(config, std::vector<int64_t>{1}, 1).value()->Description();
  };
  SamplerConfig config;
  config.set_uniform(1024);
  EXPECT_EQ(text(config), "in batch (all ranks) + 1024 uniform, pairing A, corrected");
  config.set_correct_in_batch(false);
  EXPECT_NE(text(config).find("except in batch"), std::string::npos);
  config.set_correct_uniform(false);
  EXPECT_NE(text(config).find("not corrected"), std::string::npos);
}

TEST(NegativeSamplerTest, RefusesWhatCannotWork) {
  const auto errors = [](const char* field, int64_t value) {
    SamplerConfig config;
    if (std::string(field) == "uniform") config.set_uniform(value);
    if (std::string(field) == "popularity") config.set_popularity(value);
    if (std::string(field) == "alpha") config.set_popularity_alpha(static_cast<double>(value));
    if (std::string(field) == "none") config.set_in_batch(SamplerConfig::NONE);
    if (std::string(field) == "full") {
      config.set_full_corpus(true);
      config.set_uniform(value);
    }
    return Validate(config).size();
  };
  EXPECT_EQ(errors("", 0), 0u);
  EXPECT_EQ(errors("uniform", -1), 1u);
  EXPECT_EQ(errors("popularity", -1), 1u);
  EXPECT_EQ(errors("alpha", -1), 1u);
  EXPECT_EQ(errors("none", 0), 1u);
  EXPECT_EQ(errors("full", 0), 0u);
  EXPECT_EQ(errors("full", 3), 1u);

  const auto no_items = NegativeSampler::Create({}, std::vector<int64_t>{0, 0}, 1);
  EXPECT_EQ(ExitCodeOf(no_items.status()), ExitCode::kData);
  const auto negative = NegativeSampler::Create({}, std::vector<int64_t>{1, -2}, 1);
  EXPECT_NE(std::string(negative.status().message()).find("item 1 has -2"), std::string::npos);
}

}  // namespace
}  // namespace torii::sampler
