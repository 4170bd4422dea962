// Where tensors live changes nothing: the device without kernels trains what the CPU's kernels
// train, on any number of ranks, and the computation of a step reads nothing back.
#include <ATen/record_function.h>

#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/host_tensors.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"

namespace torii {
namespace {

using testing::ExpectSameTraining;
using testing::FakeDataset;
using testing::SmallRun;
using testing::TrainedState;
using testing::TrainSmallOnThreads;

// Float32 sums taken in another order, carried through the steps.
constexpr double kRankTolerance = 1e-5, kDeviceTolerance = 1e-4;

TEST(DeviceTest, RanksTrainWhatOneRankTrainsWithoutKernels) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 20;
    const TrainedState by_kernels = TrainSmallOnThreads(1, dataset, run);
    run.model.device = kernels::Device::Composed();
    const TrainedState one = TrainSmallOnThreads(1, dataset, run);
    ExpectSameTraining(one, by_kernels, kDeviceTolerance, absl::StrCat(name, ", by the kernels"));
    for (const int world : {2, 3, 4}) {
      ExpectSameTraining(TrainSmallOnThreads(world, dataset, run), one, kRankTolerance,
                         absl::StrCat(name, ", composed, ", world, " ranks"));
    }
  }
}

// A GPU's kernels, run over an emulation of CUDA.
TEST(DeviceTest, AGpusKernelsTrainWhatTheCpusTrain) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 20;
    const TrainedState on_cpu = TrainSmallOnThreads(1, dataset, run);
    run.model.device = kernels::Device::Emulated();
    const TrainedState one = TrainSmallOnThreads(1, dataset, run);
    ExpectSameTraining(one, on_cpu, kDeviceTolerance, absl::StrCat(name, ", by the CPU's kernels"));
    ExpectSameTraining(TrainSmallOnThreads(1, dataset, run), one, 0.0,
                       absl::StrCat(name, ", emulated, twice"));
    for (const int world : {2, 3, 4}) {
      ExpectSameTraining(TrainSmallOnThreads(world, dataset, run), one, kRankTolerance,
                         absl::StrCat(name, ", emulated, ", world, " ranks"));
    }
  }
}

// What this thread does inside the computation of a step.
thread_local std::multiset<std::string> g_seen;

std::unique_ptr<at::ObserverContext> Note(const at::RecordFunction& function) {
  g_seen.insert(function.name());
  return nullptr;
}

// On a device each of these would wait for it.
TEST(DeviceTest, TheComputationOfAStepReadsNothingBack) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 2;
    run.model.device = kernels::Device::Composed();
    run.around_computation = [what = name](bool begins) {
      thread_local at::CallbackHandle handle = at::INVALID_CALLBACK_HANDLE;
      if (begins) {
        g_seen.clear();
        handle = at::addThreadLocalCallback(at::RecordFunctionCallback(Note));
        return;
      }
      at::removeCallback(handle);
      EXPECT_GT(g_seen.count("aten::mm") + g_seen.count("aten::addmm") + g_seen.count("aten::bmm") +
                    g_seen.count("aten::add"),
                0)
          << what;
      EXPECT_LE(g_seen.count(kernels::kHostRead), testing::MostReads(what)) << what;
      for (const char* read :
           {"aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::nonzero",
            "aten::equal", "aten::masked_select", "aten::_unique2", "aten::cpu"}) {
        EXPECT_EQ(g_seen.count(read), 0) << what << ": " << read;
      }
    };
    for (const int world : {1, 3}) TrainSmallOnThreads(world, dataset, run);
  }
}

}  // namespace
}  // namespace torii
