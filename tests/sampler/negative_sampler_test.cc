// The columns of a step and their offsets on one rank.
#include "sampler/negative_sampler.h"

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "tests/sampler/draw_on_ranks.h"

namespace torii::sampler {
namespace {

// A row of a fact, summed over the sources.
std::vector<double> Copies(const Candidates& c) { return Values(c.facts.multiplicity.sum(0)); }
std::vector<double> Expected(const Candidates& c) { return Values(c.facts.expected.sum(0)); }

// Three other rows: E = 3 w_j. All copies of an item are one column.
TEST(NegativeSamplerTest, InBatchColumnsAreTheDistinctPositives) {
  const Candidates c = DrawOnOne({}, {2, 1, 1}, BatchOf({0, 1, 0, 2}));
  EXPECT_EQ(SeenItems(c), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_FALSE(c.seen_columns.defined());
  EXPECT_EQ(c.owner_columns, (std::vector<int64_t>{3}));
  EXPECT_EQ(c.facts.sources, (std::vector<std::string>{"in_batch"}));
  EXPECT_EQ(c.facts.draws, (std::vector<int64_t>{3}));
  EXPECT_EQ(c.facts.corpus_items, 3);
  EXPECT_TRUE(c.facts.counts_own_positive);
  EXPECT_EQ(Copies(c), (std::vector<double>{2, 1, 1}));
  EXPECT_EQ(Expected(c), (std::vector<double>{1.5, .75, .75}));
  EXPECT_EQ(Values(c.positive), (std::vector<double>{0, 1, 0, 2}));
  EXPECT_FALSE(c.excluded_begin.defined());
  EXPECT_EQ(c.weight_sum, 4);
}

// Expected copies, summed over many steps of extras; in-batch copies are whatever the batch holds.
TEST(NegativeSamplerTest, ExpectedCopiesAreTheMeanOfTheCopies) {
  const std::vector<int64_t> counts = {40, 20, 10, 5, 5, 0, 1};
  SamplerConfig config;
  config.set_in_batch(SamplerConfig::NONE);
  config.set_uniform(30);
  config.set_popularity(50);
  constexpr int64_t kSteps = 4000;
  auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  const auto sampler = NegativeSampler::Create(config, counts, 3).value();

  double mass = 0;
  for (const int64_t n : counts) mass += std::pow(static_cast<double>(n), .75);
  std::vector<double> copies(counts.size(), 0), expected;
  for (const int64_t n : counts) {  // E written down once more
    expected.push_back(30 / 7. + 50 * std::pow(static_cast<double>(n), .75) / mass);
  }
  const RowGroups none;
  const Partition corpus = Partition::RowModWorld(std::ssize(counts), 1);
  for (int64_t step = 0; step < kSteps; ++step) {
    const Candidates c = sampler->Draw(*comm, corpus, step, {{}, {}, none}, {}, {}).value();
    const auto items = SeenItems(c);
    const std::vector<double> now = Copies(c), stated = Expected(c);
    for (size_t j = 0; j < items.size(); ++j) {
      const auto item = static_cast<size_t>(items[j]);
      copies[item] += now[j];
      EXPECT_NEAR(stated[j], expected[item], 1e-12);
    }
  }

  EXPECT_EQ(std::accumulate(copies.begin(), copies.end(), 0.0), 80.0 * kSteps);
  for (size_t j = 0; j < counts.size(); ++j) {
    const double mean = copies[j] / kSteps;
    EXPECT_NEAR(mean, expected[j], 5 * std::sqrt(expected[j] / kSteps)) << "item " << j;
  }
}

TEST(NegativeSamplerTest, FactsAreKeptBySource) {
  const std::vector<int64_t> counts = {6, 3, 1, 0};
  SamplerConfig config;
  config.set_uniform(8);
  config.set_popularity(5);
  const Candidates c = DrawOnOne(config, counts, BatchOf({0, 0, 1}));
  EXPECT_EQ(c.facts.sources, (std::vector<std::string>{"in_batch", "uniform", "popularity"}));
  EXPECT_EQ(c.facts.draws, (std::vector<int64_t>{2, 8, 5}));
  const std::vector<int64_t> copies = {3, 8, 5};  // of each source
  const auto items = SeenItems(c);
  for (int64_t s = 0; s < 3; ++s) {
    EXPECT_EQ(c.facts.multiplicity[s].sum().item<int64_t>(), copies[static_cast<size_t>(s)]);
  }
  for (size_t j = 0; j < items.size(); ++j) {
    const double share = static_cast<double>(counts[static_cast<size_t>(items[j])]) / 10;
    EXPECT_NEAR(c.facts.expected[0][static_cast<int64_t>(j)].item<double>(), 2 * share, 1e-12);
    EXPECT_EQ(c.facts.expected[1][static_cast<int64_t>(j)].item<double>(), 2);
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

  const Candidates c = DrawOnOne(config, counts, BatchOf({extra, other}));
  const size_t extra_column = extra < other ? 0 : 1;
  EXPECT_EQ(Copies(c)[extra_column], 1);
  EXPECT_EQ(Copies(c)[1 - extra_column], 0);
  EXPECT_EQ(Expected(c), (std::vector<double>(2, 1e-3)));
  EXPECT_FALSE(c.facts.counts_own_positive);
}

TEST(NegativeSamplerTest, NothingIsExpectedOfABatchOfOneRowOrOfAnItemWithoutTraining) {
  const Candidates alone = DrawOnOne({}, {3, 1}, BatchOf({1}));
  EXPECT_EQ(Expected(alone), (std::vector<double>{0}));
  EXPECT_EQ(alone.facts.draws, (std::vector<int64_t>{0}));
  const Candidates unseen = DrawOnOne({}, {3, 0}, BatchOf({1, 1, 0}));
  EXPECT_EQ(Expected(unseen), (std::vector<double>{2, 0}));
  EXPECT_EQ(Copies(unseen), (std::vector<double>{1, 2}));
}

TEST(NegativeSamplerTest, TheFullCorpusIsEveryItemOnce) {
  SamplerConfig config;
  config.set_full_corpus(true);
  const Candidates c = DrawOnOne(config, {5, 0, 2, 1}, BatchOf({2, 2, 3}));
  EXPECT_EQ(SeenItems(c), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(Copies(c), std::vector<double>(4, 1));
  EXPECT_EQ(Expected(c), std::vector<double>(4, 1));
  EXPECT_EQ(Values(c.positive), (std::vector<double>{2, 2, 3}));
}

// A user that knows all but one item: its row's negatives are that item, or none if even that is
// the row's own.
TEST(NegativeSamplerTest, RowNegativesAreUnseenItems) {
  SamplerConfig config;
  config.set_mask_known_positives(true);
  const CandidateNeeds needs{.all_columns = false, .negatives_per_row = 4};
  GlobalBatch batch = BatchOf({2, 2, 0});
  batch.known = {{0, 1, 2}, {0, 1, 3}, {}};
  const Candidates c = DrawOnOne(config, {5, 4, 3, 2}, batch, 0, needs);
  const std::vector<int64_t> items = SeenItems(c);
  ASSERT_EQ(c.negatives.sizes(), at::IntArrayRef({3, 4}));
  for (int64_t k = 0; k < 4; ++k) {
    const auto first = c.negatives[0][k].item<int64_t>();
    EXPECT_EQ(first < 0 ? 3 : items[static_cast<size_t>(first)], 3);
    EXPECT_EQ(c.negatives[1][k].item<int64_t>(), -1);
    EXPECT_NE(items[static_cast<size_t>(c.negatives[2][k].item<int64_t>())], 0);
  }
  EXPECT_GE(c.negatives[0].max().item<int64_t>(), 0) << "32 draws nearly always find 1 of 4 items";
  EXPECT_FALSE(c.same_on_all_ranks);
  EXPECT_EQ(items[static_cast<size_t>(c.positive[2].item<int64_t>())], 0);
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
  const std::vector<int64_t> positives = {4, 1, 7, 7};
  const RowGroups groups = RowGroups::Of({0, 2, 2, 4});
  const std::vector<float> weights(4, 1);
  const std::vector<std::vector<int32_t>> known = {{7, 4, 1}, {1}, {2, 4}};
  auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  const auto sampler = NegativeSampler::Create(config, std::vector<int64_t>(10, 1), 3).value();
  const Candidates c =
      sampler
          ->Draw(*comm, Partition::RowModWorld(10, 1), 0, {positives, weights, groups}, {},
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

TEST(NegativeSamplerTest, TheDescriptionNamesTheSources) {
  SamplerConfig config;
  config.set_uniform(1024);
  config.set_mask_known_positives(true);
  EXPECT_EQ(NegativeSampler::Create(config, std::vector<int64_t>{1}, 1).value()->Description(),
            "in batch (all ranks) + 1024 uniform, known positives masked");
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
