// The same global batch on 1 and on W ranks.
#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "ATen/ATen.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "sampler/negative_sampler.h"
#include "tests/sampler/draw_on_ranks.h"
#include "tests/sampler/one_source.h"

namespace torii::sampler {
namespace {

constexpr int64_t kItems = 61;

std::vector<int64_t> Counts() {
  std::vector<int64_t> counts;
  for (int64_t i = 0; i < kItems; ++i) counts.push_back(1 + 500 / (i + 1));
  return counts;
}

GlobalBatch RandomBatch(int64_t rows) {
  const RandomStream stream(8, "batch", static_cast<uint64_t>(rows));
  std::vector<int64_t> positives;
  for (uint64_t i = 0; i < static_cast<uint64_t>(rows); ++i) {
    positives.push_back(stream.Below(i, 1 + stream.Below(i + 1000, kItems)));
  }
  GlobalBatch batch = BatchOf(positives);
  for (size_t i = 0; i < batch.weights.size(); ++i) {
    batch.weights[i] = static_cast<float>(1 + i % 3);
    for (int32_t item = static_cast<int32_t>(i % 5); item < kItems; item += 5) {
      batch.known[i].push_back(item);
    }
  }
  return batch;
}

// What every row of the batch sees, by item, so that the order of the columns does not matter.
struct SeenByRow {
  // Of the columns: copies and expected copies, by source.
  std::map<int64_t, std::vector<double>> facts;
  std::vector<int64_t> excluded;  // items
  int64_t positive = 0;
  std::vector<int64_t> negatives;  // items of its own, -1: none
  bool operator==(const SeenByRow&) const = default;
};

std::vector<SeenByRow> Rows(const std::vector<Candidates>& ranks) {
  std::vector<SeenByRow> rows;
  for (const Candidates& c : ranks) {
    const std::vector<int64_t> items = SeenItems(c);
    for (int64_t i = 0; i < c.positive.size(0); ++i) {
      SeenByRow row;
      for (size_t j = 0; j < items.size(); ++j) {
        std::vector<double>& facts = row.facts[items[j]];
        for (int64_t s = 0; s < c.facts.num_sources(); ++s) {
          facts.push_back(c.facts.multiplicity[s][static_cast<int64_t>(j)].item<double>());
          facts.push_back(c.facts.expected[s][static_cast<int64_t>(j)].item<double>());
        }
      }
      if (!c.same_on_all_ranks) row.facts.clear();
      for (int64_t k = 0; c.negatives.defined() && k < c.negatives.size(1); ++k) {
        const auto column = c.negatives[i][k].item<int64_t>();
        row.negatives.push_back(column < 0 ? -1 : items[static_cast<size_t>(column)]);
      }
      row.positive = items[static_cast<size_t>(c.positive[i].item<int64_t>())];
      if (c.excluded_begin.defined()) {
        const auto end = c.excluded_begin[i + 1].item<int64_t>();
        for (auto e = c.excluded_begin[i].item<int64_t>(); e < end; ++e) {
          row.excluded.push_back(items[static_cast<size_t>(c.excluded[e].item<int64_t>())]);
        }
        std::sort(row.excluded.begin(), row.excluded.end());
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

// Every rank knows the same columns, ordered by (owner, row).
void ExpectSameOrderedColumns(const std::vector<Candidates>& ranks) {
  const auto world_size = static_cast<int64_t>(ranks.size());
  for (const Candidates& c : ranks) {
    EXPECT_TRUE(at::equal(c.rows, ranks[0].rows));
    EXPECT_EQ(c.owner_columns, ranks[0].owner_columns);
    EXPECT_EQ(c.weight_sum, ranks[0].weight_sum);
    const at::Tensor order = c.rows.remainder(world_size) * kItems + c.rows;
    EXPECT_TRUE(at::equal(std::get<0>(order.sort()), order));
    ASSERT_EQ(c.owner_columns.size(), ranks.size());
    for (int64_t r = 0; r < world_size; ++r) {
      EXPECT_EQ((c.rows.remainder(world_size) == r).sum().item<int64_t>(),
                c.owner_columns[static_cast<size_t>(r)]);
    }
  }
}

// Each source alone, and some together.
std::vector<SamplerConfig> Configs() {
  std::vector<SamplerConfig> configs(2);
  configs[0].set_uniform(16);
  configs[1].set_popularity(7);
  configs[1].set_uniform(5);
  configs[1].set_mask_known_positives(true);
  for (const std::string& source : SourceNames()) {
    configs.push_back(OneSource(source, 9));
    configs.push_back(configs.back());
    configs.back().set_mask_known_positives(true);
  }
  return configs;
}

TEST(NegativeSamplerRanksTest, EveryRowSeesTheSameOnAnyNumberOfRanks) {
  for (const SamplerConfig& config : Configs()) {
    // 2 rows on 3 and 4 ranks: some have none. 0 rows: nobody has any.
    for (const int64_t batch_rows : {0, 1, 2, 31}) {
      SCOPED_TRACE(config.ShortDebugString());
      const GlobalBatch batch = RandomBatch(batch_rows);
      const std::vector<Candidates> one = DrawOnRanks(1, config, Counts(), batch, 3);
      EXPECT_EQ(one[0].weight_sum,
                std::accumulate(batch.weights.begin(), batch.weights.end(), 0.0));
      for (const int world_size : {2, 3, 4}) {
        const std::vector<Candidates> ranks = DrawOnRanks(world_size, config, Counts(), batch, 3);
        ExpectSameOrderedColumns(ranks);
        EXPECT_EQ(ranks[0].weight_sum, one[0].weight_sum);
        EXPECT_TRUE(at::equal(std::get<0>(ranks[0].rows.sort()), one[0].rows));
        EXPECT_TRUE(Rows(ranks) == Rows(one)) << world_size << " ranks, " << batch_rows << " rows";
      }
    }
  }
}

// The partition of the corpus only orders the columns: who owns an item changes nobody's list.
TEST(NegativeSamplerRanksTest, EveryRowSeesTheSameUnderAnyPartition) {
  const GlobalBatch batch = RandomBatch(31);
  for (const SamplerConfig& config : Configs()) {
    SCOPED_TRACE(config.ShortDebugString());
    const std::vector<Candidates> one = DrawOnRanks(1, config, Counts(), batch, 3);
    for (const int world_size : {1, 2, 3, 4}) {
      const std::vector<Candidates> ranks =
          DrawOnRanks(world_size, config, Counts(), batch, 3, {}, Partition::Kind::kBlocks);
      const Partition blocks = Partition::Blocks(kItems, world_size);
      int64_t column = 0;
      for (int owner = 0; owner < world_size; ++owner) {
        for (int64_t c = 0; c < ranks[0].owner_columns[static_cast<size_t>(owner)]; ++c) {
          EXPECT_EQ(blocks.Owner(ranks[0].rows[column++].item<int64_t>()), owner);
        }
      }
      EXPECT_EQ(column, ranks[0].rows.size(0));
      EXPECT_TRUE(at::equal(std::get<0>(ranks[0].rows.sort()), one[0].rows));
      EXPECT_TRUE(Rows(ranks) == Rows(one)) << world_size << " ranks";
    }
  }
}

// Each rank with local negatives is a world of its own with its part of the batch.
TEST(NegativeSamplerRanksTest, LocalNegativesAreThoseOfTheOwnRank) {
  SamplerConfig local;
  local.set_in_batch(SamplerConfig::LOCAL);
  local.set_uniform(4);
  local.set_mask_known_positives(true);
  const GlobalBatch batch = RandomBatch(20);
  for (const int world_size : {2, 3, 7}) {
    const std::vector<Candidates> ranks = DrawOnRanks(world_size, local, Counts(), batch, 3);
    ExpectSameOrderedColumns(ranks);
    std::vector<SeenByRow> expected;
    for (int r = 0; r < world_size; ++r) {
      const Range part = SplitEvenly(20, world_size, r);
      GlobalBatch own;
      own.positives.assign(batch.positives.begin() + part.begin,
                           batch.positives.begin() + part.end);
      own.weights.assign(batch.weights.begin() + part.begin, batch.weights.begin() + part.end);
      own.known.assign(batch.known.begin() + part.begin, batch.known.begin() + part.end);
      const Candidates alone = DrawOnOne(local, Counts(), own, 3);
      EXPECT_FALSE(alone.seen_columns.defined());
      for (SeenByRow& row : Rows({alone})) expected.push_back(std::move(row));
      EXPECT_TRUE(ranks[static_cast<size_t>(r)].seen_columns.defined());
    }
    EXPECT_TRUE(Rows(ranks) == expected) << world_size << " ranks";
    EXPECT_FALSE(Rows(ranks) == Rows(DrawOnRanks(1, local, Counts(), batch, 3)));
  }
}

TEST(NegativeSamplerRanksTest, ARowsOwnNegativesAreTheSameOnAnyNumberOfRanks) {
  for (const bool masked : {false, true}) {
    for (const int64_t batch_rows : {0, 1, 2, 31}) {
      SamplerConfig config;
      config.set_mask_known_positives(masked);
      config.set_row_negatives(SamplerConfig::POPULAR);
      const CandidateNeeds needs{.all_columns = false, .negatives_per_row = 3};
      const GlobalBatch batch = RandomBatch(batch_rows);
      const auto one = Rows(DrawOnRanks(1, config, Counts(), batch, 3, needs));
      for (const int world_size : {2, 3, 4}) {
        const auto ranks = DrawOnRanks(world_size, config, Counts(), batch, 3, needs);
        EXPECT_TRUE(Rows(ranks) == one) << world_size << " ranks, " << batch_rows << " rows";
        for (const Candidates& c : ranks) {
          // Each rank has the distinct items of its own rows, ordered by their owner.
          const at::Tensor order = c.rows.remainder(world_size) * kItems + c.rows;
          EXPECT_TRUE(at::equal(std::get<0>(at::_unique(order)), order));
          EXPECT_EQ(std::accumulate(c.owner_columns.begin(), c.owner_columns.end(), int64_t{0}),
                    c.rows.size(0));
        }
      }
      for (const SeenByRow& row : one) {
        for (const int64_t item : row.negatives) EXPECT_NE(item, row.positive);
      }
    }
  }
}

TEST(NegativeSamplerRanksTest, RanksMayBeMoreThanItems) {
  const std::vector<int64_t> counts = {2, 1};
  for (const bool full : {false, true}) {
    SamplerConfig config;
    config.set_full_corpus(full);
    const std::vector<Candidates> ranks = DrawOnRanks(4, config, counts, BatchOf({1, 0, 1, 1, 0}));
    EXPECT_EQ(SeenItems(ranks[3]), (std::vector<int64_t>{0, 1}));
    EXPECT_EQ(ranks[3].owner_columns, (std::vector<int64_t>{1, 1, 0, 0}));
  }
}

}  // namespace
}  // namespace torii::sampler
