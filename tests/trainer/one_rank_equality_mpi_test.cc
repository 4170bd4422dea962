// I1 across processes: the ranks of mpirun train what one rank trains.

#include "gtest/gtest.h"
#include "tests/support/mpi_world.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"

namespace torii {
namespace {

using testing::FakeDataset;

TEST(OneRankEqualityMpiTest, RanksTrainWhatOneRankTrains) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    for (const int64_t batch : {int64_t{32}, int64_t{3}}) {
      run.global_batch = batch;
      const auto got = testing::TrainSmall(testing::World(), dataset, run);
      ASSERT_TRUE(got.ok()) << got.status();
      const auto want = testing::TrainSmallOnThreads(1, dataset, run);
      testing::ExpectSameTraining(*got, want, 1e-5, absl::StrCat(name, ", batch ", batch));
    }
  }
}

}  // namespace
}  // namespace torii
