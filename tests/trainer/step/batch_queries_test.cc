#include "trainer/step/batch_queries.h"

#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"

namespace torii::trainer {
namespace {

data::Batch BatchOfUsers(std::vector<int64_t> users, std::vector<int64_t> user_begin) {
  data::Batch batch;
  batch.users = std::move(users);
  batch.user_runs = RowGroups::Of(std::move(user_begin));
  batch.first_position = 100;
  return batch;
}

TEST(BatchQueriesTest, RowsThatFollowOneAnotherShareTheirUser) {
  const BatchQueries queries = QueriesOf(BatchOfUsers({5, 5, 2, 5}, {0, 2, 3, 4}), true);
  EXPECT_EQ(queries.users, (std::vector<int64_t>{5, 2, 5}));
  EXPECT_EQ(queries.rows.rows(), 4);
  const auto begins = queries.rows.begins();
  EXPECT_EQ(std::vector<int64_t>(begins.begin(), begins.end()), (std::vector<int64_t>{0, 2, 3, 4}));
}

TEST(BatchQueriesTest, WhereNothingIsSharedEachRowIsAQuery) {
  for (const bool share : {true, false}) {
    const BatchQueries queries = QueriesOf(BatchOfUsers({5, 2}, {0, 1, 2}), share);
    EXPECT_EQ(queries.users, (std::vector<int64_t>{5, 2}));
    EXPECT_TRUE(queries.rows.one_each());
    EXPECT_EQ(queries.dropout_key, (std::vector<int64_t>{100, 101}));
  }
  EXPECT_TRUE(QueriesOf(BatchOfUsers({5, 5}, {0, 2}), false).rows.one_each());
  EXPECT_TRUE(QueriesOf(BatchOfUsers({}, {0}), true).users.empty());
}

// 20 steps: shared vectors are a faster way to the same numbers.
TEST(BatchQueriesTest, TrainingWithSharedVectorsIsTraining) {
  const testing::FakeDataset dataset(testing::SmallData());
  for (const bool masked : {false, true}) {
    testing::SmallRun run = testing::SumRun(sharding::TableConfig::SGD);
    run.model.model.mutable_user()->clear_history();
    run.sampler.set_mask_known_positives(masked);
    run.shuffle_block = 5;
    run.steps = 20;
    testing::SmallRun unshared = run;
    unshared.share_user_vectors = false;
    const testing::TrainedState one_for_each_row =
        testing::TrainSmallOnThreads(1, dataset, unshared);
    for (const int world : {1, 3}) {
      testing::ExpectSameTraining(testing::TrainSmallOnThreads(world, dataset, run),
                                  one_for_each_row, 1e-5, masked ? "shared, masked" : "shared");
    }
  }
}

}  // namespace
}  // namespace torii::trainer
