// What holds for every source, whatever it draws.
#include "sampler/source.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampler/negative_sampler.h"
#include "tests/sampler/one_source.h"

namespace torii::sampler {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kDraws = 13;

class EverySource : public ::testing::TestWithParam<std::string> {
 protected:
  SamplerConfig config() const { return OneSource(GetParam(), kDraws); }
  std::unique_ptr<Source> Make() const {
    auto sources = MakeSources(config(), {counts, 3});
    EXPECT_EQ(sources.size(), 1u);
    return std::move(sources.at(0));
  }
  const std::vector<int64_t> counts = {40, 20, 10, 5, 5, 0, 1};
};

TEST_P(EverySource, IsTurnedOnByTheFieldOfItsName) {
  EXPECT_THAT(SourcesOf(config()), ElementsAre(GetParam()));
  EXPECT_EQ(Make()->name(), GetParam());
  EXPECT_NE(Make()->Description(), "");
  const ConfigRules rules("sampler");
  Validate(config(), rules);
  EXPECT_TRUE(rules.status().ok()) << rules.status();
}

TEST_P(EverySource, DrawsByTheStepAlone) {
  const auto source = Make(), again = Make();
  EXPECT_EQ(source->Draw(8).items, again->Draw(8).items);
  again->Draw(9);
  EXPECT_EQ(source->Draw(8).items, again->Draw(8).items);
  if (source->Draw(8).from == Drawn::From::kItems) {
    EXPECT_NE(source->Draw(8).items, source->Draw(9).items);
  }
}

// Sources that draw items: the mean of many steps. The others have their tests in
// negative_sampler_test.cc.
TEST_P(EverySource, ExpectedCountsAreTheMeanOfTheDraws) {
  const auto source = Make();
  if (source->Draw(0).from != Drawn::From::kItems) return;
  constexpr int64_t kSteps = 4000;
  const int64_t draws = source->NumDraws(source->Draw(0), {});
  std::vector<double> copies(counts.size(), 0);
  for (int64_t step = 0; step < kSteps; ++step) {
    const std::vector<int64_t> items = source->Draw(step).items;
    ASSERT_EQ(std::ssize(items), draws);
    for (const int64_t item : items) copies.at(static_cast<size_t>(item)) += 1;
  }
  double sum = 0;
  for (size_t j = 0; j < counts.size(); ++j) {
    const double expected = source->ExpectedCount(static_cast<int64_t>(j), draws);
    EXPECT_NEAR(copies[j] / kSteps, expected, 5 * std::sqrt(expected / kSteps)) << "item " << j;
    sum += expected;
  }
  EXPECT_NEAR(sum, static_cast<double>(draws), 1e-9);
}

TEST_P(EverySource, WorksOnACorpusOfOneItem) {
  const std::vector<int64_t> one = {3};
  const auto sources = MakeSources(config(), {one, 3});
  for (const int64_t item : sources.at(0)->Draw(0).items) EXPECT_EQ(item, 0);
  EXPECT_EQ(sources.at(0)->ExpectedCount(0, 1), 1);
}

INSTANTIATE_TEST_SUITE_P(All, EverySource, ::testing::ValuesIn(SourceNames()),
                         [](const auto& test) { return test.param; });

TEST(SourcesTest, AreOffButTheBatchAndAddUpInTheirOrder) {
  SamplerConfig config;
  EXPECT_THAT(SourcesOf(config), ElementsAre("in_batch"));
  config.set_popularity(2);
  config.set_uniform(1);
  EXPECT_THAT(SourcesOf(config), ElementsAre("in_batch", "uniform", "popularity"));
}

TEST(SourcesTest, ABatchThatNobodyAskedForGivesWayToTheFullCorpus) {
  SamplerConfig config;
  config.set_full_corpus(true);
  EXPECT_THAT(SourcesOf(config), ElementsAre("full_corpus"));
  config.set_in_batch(SamplerConfig::WORLD);
  EXPECT_THAT(SourcesOf(config), ElementsAre("in_batch", "full_corpus"));
}

TEST(SourcesTest, TheFullCorpusNamesTheSourcesBesideIt) {
  SamplerConfig config;
  config.set_full_corpus(true);
  config.set_uniform(3);
  config.set_popularity(3);
  const ConfigRules rules("sampler");
  Validate(config, rules);
  ASSERT_EQ(rules.broken().size(), 1u);
  EXPECT_EQ(rules.broken()[0].Text(),
            "sampler.full_corpus: scores every item: turn off uniform and popularity (NONE, 0 or "
            "left out)");
}

}  // namespace
}  // namespace torii::sampler
