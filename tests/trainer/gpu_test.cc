// Whole trainings on a GPU, where TORII_CUDA_PLUGIN names the plug-in and there is one.
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/gpu_device.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"
#include "tests/trainer/loop_run.h"
#include "trainer/evaluate_model.h"

namespace torii::trainer {
namespace {

using testing::ExpectSameTraining;
using testing::FakeDataset;
using testing::TrainedState;
using testing::TrainSmallOnThreads;

// Float32 sums taken in another order, carried through the steps.
constexpr double kRankTolerance = 1e-5, kDeviceTolerance = 1e-4;

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::Gpu().ok()) GTEST_SKIP() << testing::Gpu().status().message();
  }
  static const kernels::Device& Device() { return testing::Gpu()->device; }
};

TEST_F(GpuTest, TrainsWhatTheCpuTrainsAndTheSameBitsAgain) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 20;
    const TrainedState on_cpu = TrainSmallOnThreads(1, dataset, run);
    run.model.device = Device();
    const TrainedState one = TrainSmallOnThreads(1, dataset, run);
    ExpectSameTraining(one, on_cpu, kDeviceTolerance, absl::StrCat(name, ", by the CPU"));
    ExpectSameTraining(TrainSmallOnThreads(1, dataset, run), one, 0.0,
                       absl::StrCat(name, ", twice"));
  }
}

// Ranks that are threads share the GPU.
TEST_F(GpuTest, RanksTrainWhatOneRankTrains) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 20;
    run.model.device = Device();
    const TrainedState one = TrainSmallOnThreads(1, dataset, run);
    for (const int world : {2, 3}) {
      ExpectSameTraining(TrainSmallOnThreads(world, dataset, run), one, kRankTolerance,
                         absl::StrCat(name, ", ", world, " ranks"));
    }
  }
}

// A checkpoint of either goes on on the other; a killed run ends with the bits of one that was not.
TEST_F(GpuTest, ACheckpointGoesOnHereAndThere) {
  const kernels::Device cpu = kernels::Device::Cpu();
  EXPECT_NE(DigestAfter("gpu_there_and_back", 1, {cpu, Device(), cpu}), "none");
  EXPECT_EQ(DigestAfter("gpu_killed", 1, {Device(), Device()}),
            DigestAfter("gpu_whole", 1, {Device()}));
}

// The ranks of all held-out items by a model that was not trained.
std::vector<int64_t> RanksOn(const kernels::Device& device, int world, const FakeDataset& dataset,
                             TwoTowerConfig config) {
  config.device = device;
  std::vector<int64_t> ranks;
  testing::RunOnRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto towers, TwoTower::Create(comm, dataset, config));
    TORII_ASSIGN_OR_RETURN(const Evaluation found,
                           EvaluateModel(*towers, eval::EvalConfig(), /*embed_batch=*/7));
    if (comm.rank() == 0) ranks = found.ranks;
    return absl::OkStatus();
  });
  return ranks;
}

// Initial weights are equal to 1e-6: two items of almost the same score may change places.
TEST_F(GpuTest, AnEvaluationRanksWhatTheCpuRanks) {
  const FakeDataset dataset = Data();
  for (const auto& [name, run] : testing::SmallRuns()) {
    const std::vector<int64_t> want = RanksOn(kernels::Device::Cpu(), 1, dataset, run.model);
    const std::vector<int64_t> got = RanksOn(Device(), 1, dataset, run.model);
    ASSERT_EQ(got.size(), want.size()) << name;
    int64_t moved = 0;
    for (size_t t = 0; t < want.size(); ++t) moved += std::abs(got[t] - want[t]);
    EXPECT_LE(moved, 2) << name;
    EXPECT_EQ(RanksOn(Device(), 2, dataset, run.model), got) << name;
  }
}

}  // namespace
}  // namespace torii::trainer
