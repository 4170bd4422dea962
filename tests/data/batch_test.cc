#include "data/batch.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"

namespace torii::data {
namespace {

using ::torii::testing::FakeDataset;
using ::torii::testing::FakeDatasetOptions;

// `rows` training rows of 3 users (the last one has the remainder), item = 10 + row mod 7.
class CountedDataset final : public Dataset {
 public:
  explicit CountedDataset(int64_t rows) : fake_({.users = 3, .items = 20}) {
    begin_ = {0, rows / 5, rows / 5 + rows / 3, rows};
    for (int64_t row = 0; row < rows; ++row) {
      item_.push_back(static_cast<int32_t>(10 + row % 7));
      user_.push_back(row < begin_[1] ? 0 : row < begin_[2] ? 1 : 2);
      weight_.push_back(static_cast<float>(row) * 0.5f);
    }
    train_ = {begin_, user_, item_, weight_, {}};
  }
  const PreparedDataset& meta() const override { return fake_.meta(); }
  const Features& users() const override { return fake_.users(); }
  const Features& items() const override { return fake_.items(); }
  const Interactions& train() const override { return train_; }
  const Interactions& valid() const override { return fake_.valid(); }
  const Interactions& test() const override { return fake_.test(); }
  std::span<const int64_t> item_counts() const override { return fake_.item_counts(); }
  const std::string& digest() const override { return fake_.digest(); }

 private:
  FakeDataset fake_;
  std::vector<int64_t> begin_;
  std::vector<int32_t> user_;
  std::vector<int32_t> item_;
  std::vector<float> weight_;
  Interactions train_;
};

std::vector<int64_t> List(const Bags& bags, size_t i) {
  return {bags.values.begin() + bags.offsets[i], bags.values.begin() + bags.offsets[i + 1]};
}

// Appends a rank's part as Joined rows.
void Join(const Batch& part, Batch& all) {
  all.rows.insert(all.rows.end(), part.rows.begin(), part.rows.end());
  all.users.insert(all.users.end(), part.users.begin(), part.users.end());
  all.items.insert(all.items.end(), part.items.begin(), part.items.end());
  all.weights.insert(all.weights.end(), part.weights.begin(), part.weights.end());
  if (all.history.offsets.empty()) all.history.offsets.push_back(0);
  for (size_t i = 0; i < part.rows.size(); ++i) {
    for (const int64_t item : List(part.history, i)) all.history.values.push_back(item);
    all.history.offsets.push_back(static_cast<int64_t>(all.history.values.size()));
  }
}

void ExpectSame(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.step_in_epoch, b.step_in_epoch);
  EXPECT_EQ(a.global_rows, b.global_rows);
  EXPECT_EQ(a.first_position, b.first_position);
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(a.users, b.users);
  EXPECT_EQ(a.items, b.items);
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.history.offsets, b.history.offsets);
  EXPECT_EQ(a.history.values, b.history.values);
}

std::vector<int64_t> EpochOrder(const BatchMaker& maker, int64_t epoch) {
  std::vector<int64_t> rows;
  for (int64_t step = 0; step < maker.steps_per_epoch(); ++step) {
    const Batch batch = maker.Make(Epoch{epoch}, StepInEpoch{step});
    rows.insert(rows.end(), batch.rows.begin(), batch.rows.end());
  }
  return rows;
}

TEST(BatchMakerTest, GivesEveryRowOnceAnEpochAndJoinsToTheOneRankBatch) {
  for (const int64_t n : {0, 1, 2, 7, 1000, 1009}) {
    const CountedDataset dataset(n);
    for (const int64_t global_batch : {1, 3, 64, 5000}) {
      const BatchMaker alone(dataset, {.global_batch = global_batch, .seed = 5, .history = 4});
      ASSERT_EQ(alone.steps_per_epoch(), (n + global_batch - 1) / global_batch);
      for (const int world : {1, 2, 3, 4, 7}) {
        SCOPED_TRACE(absl::StrCat("n ", n, " G ", global_batch, " W ", world));
        std::vector<int> seen(static_cast<size_t>(n));
        for (int64_t step = 0; step < alone.steps_per_epoch(); ++step) {
          const Batch whole = alone.Make(Epoch{2}, StepInEpoch{step});
          Batch joined;
          for (int rank = 0; rank < world; ++rank) {
            const BatchMaker maker(dataset, {.global_batch = global_batch,
                                             .rank = rank,
                                             .world_size = world,
                                             .seed = 5,
                                             .history = 4});
            const Batch part = maker.Make(Epoch{2}, StepInEpoch{step});
            ASSERT_EQ(part.global_rows, whole.size());
            ASSERT_EQ(part.first_position,
                      step * global_batch + static_cast<int64_t>(joined.rows.size()));
            ASSERT_EQ(part.history.offsets.size(), part.rows.size() + 1);
            Join(part, joined);
          }
          ASSERT_EQ(joined.rows, whole.rows);
          ASSERT_EQ(joined.users, whole.users);
          ASSERT_EQ(joined.items, whole.items);
          ASSERT_EQ(joined.weights, whole.weights);
          ASSERT_EQ(joined.history.offsets, whole.history.offsets);
          ASSERT_EQ(joined.history.values, whole.history.values);
          for (const int64_t row : whole.rows) ++seen.at(static_cast<size_t>(row));
        }
        ASSERT_EQ(std::count(seen.begin(), seen.end(), 1), n);
      }
    }
  }
}

TEST(BatchMakerTest, RowsCarryTheirUserItemWeightAndTheItemsBeforeThem) {
  const FakeDataset dataset({.users = 40, .train_per_user = 12, .weights = true});
  const Interactions& train = dataset.train();
  for (const int64_t length : {0, 1, 5, 1000}) {
    const BatchMaker maker(dataset, {.global_batch = 100, .seed = 1, .history = length});
    for (int64_t step = 0; step < maker.steps_per_epoch(); ++step) {
      const Batch batch = maker.Make(Epoch{0}, StepInEpoch{step});
      for (size_t i = 0; i < batch.rows.size(); ++i) {
        const size_t row = static_cast<size_t>(batch.rows[i]);
        ASSERT_EQ(batch.users[i], train.user[row]);
        ASSERT_EQ(batch.items[i], train.item[row]);
        ASSERT_EQ(batch.weights[i], train.weight[row]);
        std::vector<int64_t> before;
        for (size_t r = row; r > 0 && train.user[r - 1] == train.user[row] &&
                             static_cast<int64_t>(before.size()) < length;) {
          before.insert(before.begin(), train.item[--r]);
        }
        ASSERT_EQ(List(batch.history, i), before) << "row " << row << " length " << length;
      }
    }
  }
}

// Blocks of neighbours in the data stay together, wherever batches and ranks are cut.
TEST(BatchMakerTest, BlocksStayTogetherAndEveryRowComesOnce) {
  for (const int64_t n : {1, 7, 1000, 1009}) {
    const CountedDataset dataset(n);
    for (const int64_t block : {1, 2, 16, 2000}) {
      const BatchMaker maker(dataset, {.global_batch = 30, .seed = 5, .shuffle_block = block});
      const std::vector<int64_t> order = EpochOrder(maker, 1);
      std::vector<int64_t> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      for (int64_t row = 0; row < n; ++row) ASSERT_EQ(sorted[static_cast<size_t>(row)], row);
      int64_t moved = 0;
      for (int64_t p = 0; p < n; ++p) {
        const int64_t row = order[static_cast<size_t>(p)];
        if (p >= n / block * block) {
          ASSERT_EQ(row, p);
        } else if (p % block != 0) {
          ASSERT_EQ(row, order[static_cast<size_t>(p) - 1] + 1);
        } else {
          ASSERT_EQ(row % block, 0);
          moved += row != p ? 1 : 0;
        }
      }
      if (n / block > 20) {
        EXPECT_GT(moved, n / block / 2);
      }
    }
  }
}

TEST(BatchMakerTest, RunsOfOneUserAreKnown) {
  const FakeDataset dataset({.users = 9, .train_per_user = 6});
  for (const int64_t block : {1, 4, 54}) {
    const BatchMaker maker(dataset, {.global_batch = 20, .seed = 1, .shuffle_block = block});
    for (int64_t step = 0; step < maker.steps_per_epoch(); ++step) {
      const Batch batch = maker.Make(Epoch{0}, StepInEpoch{step});
      std::vector<int64_t> want = {0}, got;
      for (int64_t i = 1; i < batch.size(); ++i) {
        const auto at = static_cast<size_t>(i);
        if (batch.users[at] != batch.users[at - 1]) want.push_back(i);
      }
      want.push_back(batch.size());
      for (int64_t k = 0; k <= batch.user_runs.queries(); ++k) {
        got.push_back(batch.user_runs.begin(k));
      }
      EXPECT_EQ(got, want);
    }
  }
}

TEST(BatchMakerTest, BalanceWeighsRowsByTheRowsOfTheirUser) {
  const FakeDataset dataset({.users = 9, .train_per_user = 6, .weights = true});
  const Interactions& train = dataset.train();
  for (const double balance : {0.0, 0.5, 1.0}) {
    const BatchMaker maker(dataset, {.global_batch = 1000, .seed = 1, .user_balance = balance});
    const Batch batch = maker.Make(Epoch{0}, StepInEpoch{0});
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const auto rows = static_cast<double>(train.ItemsOf(batch.users[i]).size());
      EXPECT_FLOAT_EQ(batch.weights[i], train.weight[static_cast<size_t>(batch.rows[i])] *
                                            static_cast<float>(std::pow(rows, -balance)));
    }
  }
}

TEST(BatchMakerTest, WeightIsOneWithoutAWeightColumn) {
  const FakeDataset dataset({});
  const Batch batch = BatchMaker(dataset, {.global_batch = 50}).Make(Epoch{0}, StepInEpoch{0});

  EXPECT_EQ(batch.weights, std::vector<float>(50, 1.0f));
}

TEST(BatchMakerTest, OrderDependsOnEpochAndSeedAlone) {
  const CountedDataset dataset(1009);
  const BatchMaker maker(dataset, {.global_batch = 64, .seed = 3});
  const BatchMaker coarser(dataset, {.global_batch = 1000, .seed = 3});
  const BatchMaker other_seed(dataset, {.global_batch = 64, .seed = 4});
  const std::vector<int64_t> order = EpochOrder(maker, 0);

  EXPECT_EQ(order, EpochOrder(maker, 0));
  EXPECT_EQ(order, EpochOrder(coarser, 0));
  EXPECT_NE(order, EpochOrder(maker, 1));
  EXPECT_NE(order, EpochOrder(other_seed, 0));
  // Shuffled, not merely rotated: hardly any two neighbours stay neighbours.
  int neighbours = 0;
  for (size_t i = 1; i < order.size(); ++i) neighbours += order[i] == order[i - 1] + 1 ? 1 : 0;
  EXPECT_LT(neighbours, 12);
}

TEST(BatchPrefetcherTest, GivesTheBatchesOfTheMakerAcrossEpochs) {
  const CountedDataset dataset(101);
  const BatchMaker maker(dataset,
                         {.global_batch = 10, .rank = 1, .world_size = 3, .seed = 9, .history = 3});
  for (const int ahead : {0, 1, 2, 50}) {
    const auto prefetcher = BatchPrefetcher::Start(maker, Epoch{0}, StepInEpoch{0}, ahead);
    for (int64_t step = 0; step < 3 * maker.steps_per_epoch(); ++step) {
      ExpectSame(prefetcher->Next(), maker.Make(Epoch{step / maker.steps_per_epoch()},
                                                StepInEpoch{step % maker.steps_per_epoch()}));
    }
  }
}

TEST(BatchPrefetcherTest, ResumesAtAnyEpochAndStep) {
  const CountedDataset dataset(101);
  const BatchMaker maker(dataset, {.global_batch = 10, .seed = 9, .history = 3});
  const auto undisturbed = BatchPrefetcher::Start(maker, Epoch{0}, StepInEpoch{0}, 2);
  for (int i = 0; i < 17; ++i) (void)undisturbed->Next();

  const auto resumed = BatchPrefetcher::Start(maker, Epoch{1}, StepInEpoch{6}, 2);

  for (int i = 0; i < 12; ++i) ExpectSame(resumed->Next(), undisturbed->Next());
}

TEST(BatchPrefetcherTest, StartsTheNextEpochWhenResumedAtTheEndOfOne) {
  const CountedDataset dataset(20);
  const BatchMaker maker(dataset, {.global_batch = 10});

  const auto prefetcher = BatchPrefetcher::Start(maker, Epoch{3}, StepInEpoch{2}, 1);

  ExpectSame(prefetcher->Next(), maker.Make(Epoch{4}, StepInEpoch{0}));
}

TEST(BatchPrefetcherTest, EndsAtAnyMomentAndTheBatchesTakenUntilThenAreRight) {
  const CountedDataset dataset(101);
  const BatchMaker maker(dataset, {.global_batch = 10});
  for (int run = 0; run < 40; ++run) {
    const auto prefetcher = BatchPrefetcher::Start(maker, Epoch{0}, StepInEpoch{0}, 1 + run % 3);
    for (int i = 0; i < run % 5; ++i) {
      ExpectSame(prefetcher->Next(), maker.Make(Epoch{0}, StepInEpoch{i}));
    }
  }
}

TEST(BatchMakerDeathTest, RefusesAStepBeyondTheEpoch) {
  const CountedDataset dataset(20);
  const BatchMaker maker(dataset, {.global_batch = 10});

  EXPECT_DEATH((void)maker.Make(Epoch{0}, StepInEpoch{2}), "step 2 of 2");
}

}  // namespace
}  // namespace torii::data
