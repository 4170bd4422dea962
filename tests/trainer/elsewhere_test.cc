// Training on a device whose memory is not the host's: nothing that a step reads lies on the wrong
// side, and neither its plan nor its computation waits for the device.
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/elsewhere_device.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"
#include "tests/trainer/loop_run.h"
#include "trainer/evaluate_model.h"

namespace torii::trainer {
namespace {

using testing::DeviceWaits;
using testing::Elsewhere;
using testing::FakeDataset;
using testing::SmallRun;
using testing::TrainedState;
using testing::TrainSmallOnThreads;

// The cell of a GRU is another composition on a device that LibTorch does not know.
double ToleranceOf(const std::string& run) { return absl::StrContains(run, "GRU") ? 1e-5 : 0.0; }

// Two devices have the same kernels, and LibTorch's operations the same bits: so have the trainings.
TEST(ElsewhereTest, TrainsWhatTheEmulatedDeviceTrains) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 10;
    for (const int world : {1, 2, 3}) {
      run.model.device = kernels::Device::Emulated();
      const TrainedState want = TrainSmallOnThreads(world, dataset, run);
      run.model.device = Elsewhere();
      testing::ExpectSameTraining(TrainSmallOnThreads(world, dataset, run), want, ToleranceOf(name),
                                  absl::StrCat(name, ", ", world, " ranks"));
    }
  }
}

// Tables of one width with different optimizers, and each kind of partition.
TEST(ElsewhereTest, EveryPlacementOfTablesTrainsTheSame) {
  const FakeDataset dataset(testing::SmallData());
  using sharding::TableConfig;
  SmallRun run = testing::ConcatRun(TableConfig::ADAGRAD, DenseOptimizerConfig::ADAM);
  run.steps = 10;
  TableConfig& users = run.model.table.emplace_back();
  users.set_name("user_id");
  users.set_optimizer(TableConfig::SGD);
  for (const auto placement :
       {TableConfig::REPLICATED, TableConfig::BLOCKS, TableConfig::ROW_MOD_WORLD}) {
    run.model.tables.set_placement(placement);
    run.model.device = kernels::Device::Emulated();
    const TrainedState want = TrainSmallOnThreads(3, dataset, run);
    run.model.device = Elsewhere();
    testing::ExpectSameTraining(TrainSmallOnThreads(3, dataset, run), want, 0.0,
                                TableConfig::Placement_Name(placement));
  }
}

// Every rank sees columns of its own, which are a part of those that are computed.
TEST(ElsewhereTest, NegativesOfARanksOwnBatchTrainTheSame) {
  const FakeDataset dataset(testing::SmallData());
  SmallRun run = testing::SumRun(sharding::TableConfig::SGD);
  run.steps = 10;
  run.sampler.set_in_batch(sampler::SamplerConfig::LOCAL);
  run.model.device = kernels::Device::Emulated();
  const TrainedState want = TrainSmallOnThreads(3, dataset, run);
  run.model.device = Elsewhere();
  testing::ExpectSameTraining(TrainSmallOnThreads(3, dataset, run), want, 0.0, "3 ranks");
}

// Its calls are not counted among the waits: ranks on GPUs have another back end, which does not
// wait, and the in-process one always does.
class UncountedCommunicator final : public comm::Communicator {
 public:
  explicit UncountedCommunicator(comm::Communicator& comm) : comm_(comm) {}
  int rank() const override { return comm_.rank(); }
  int world_size() const override { return comm_.world_size(); }
  comm::ControlPlane& control() override { return comm_.control(); }
  absl::Status AllReduce(at::Tensor& tensor, comm::ReduceOp op) override {
    const DeviceWaits uncounted;
    return comm_.AllReduce(tensor, op);
  }
  absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                        std::span<const int64_t> rows) override {
    const DeviceWaits uncounted;
    return comm_.AllGatherV(in, rows);
  }
  absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                            std::span<const int64_t> rows) override {
    const DeviceWaits uncounted;
    return comm_.ReduceScatterV(in, rows);
  }
  absl::Status Broadcast(at::Tensor& tensor, int root) override {
    const DeviceWaits uncounted;
    return comm_.Broadcast(tensor, root);
  }
  absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in, std::span<const int64_t> send_rows,
                                       std::span<const int64_t> recv_rows) override {
    const DeviceWaits uncounted;
    return comm_.AllToAllV(in, send_rows, recv_rows);
  }
  absl::StatusOr<std::unique_ptr<comm::Communicator>> Duplicate() override {
    return comm_.Duplicate();
  }
  void Abort(const absl::Status& reason) override { comm_.Abort(reason); }

 private:
  comm::Communicator& comm_;
};

// Expects at most `most` waits of its thread between a call with true and one with false.
std::function<void(bool begins)> ExpectWaits(size_t most, const std::string& what) {
  return [most, what](bool begins) {
    thread_local std::unique_ptr<DeviceWaits> waits;
    if (begins) {
      waits = std::make_unique<DeviceWaits>();
      return;
    }
    EXPECT_LE(waits->list().size(), most)
        << what << ": " << ::testing::PrintToString(waits->list());
    waits.reset();
  };
}

// So the host plans a step, and puts its work before the device, while the device computes the step
// before it.
TEST(ElsewhereTest, NeitherPlanNorComputationOfAStepWaitsForTheDevice) {
  const FakeDataset dataset(testing::SmallData());
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 2;
    run.model.device = Elsewhere();
    run.around_plan = ExpectWaits(0, absl::StrCat(name, ", plan"));
    run.around_computation =
        ExpectWaits(testing::MostReads(name), absl::StrCat(name, ", computation"));
    for (const int world : {1, 2}) {
      testing::RunOnRanks(world, [&](comm::Communicator& comm) {
        UncountedCommunicator uncounted(comm);
        return testing::TrainSmall(uncounted, dataset, run).status();
      });
    }
  }
}

TEST(ElsewhereTest, ACheckpointGoesOnOnAnotherDeviceAndBack) {
  const kernels::Device cpu = kernels::Device::Cpu(), emulated = kernels::Device::Emulated();
  const std::string want = DigestAfter("emulated", 2, {cpu, emulated, cpu});
  EXPECT_NE(want, "none");
  EXPECT_EQ(DigestAfter("elsewhere", 2, {cpu, Elsewhere(), cpu}), want);
  EXPECT_EQ(DigestAfter("elsewhere_at_last", 2, {emulated, Elsewhere()}),
            DigestAfter("emulated_at_last", 2, {emulated, emulated}));
}

TEST(ElsewhereTest, AnEvaluationRanksAndRecommendsTheSame) {
  const FakeDataset dataset = Data();
  for (const auto& [name, run] : testing::SmallRuns()) {
    if (ToleranceOf(name) > 0) continue;
    Evaluation want;
    std::vector<std::vector<eval::ScoredItem>> lists;
    for (const kernels::Device& device : {kernels::Device::Emulated(), Elsewhere()}) {
      testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
        TwoTowerConfig config = run.model;
        config.device = device;
        TORII_ASSIGN_OR_RETURN(const auto towers, TwoTower::Create(comm, dataset, config));
        TORII_ASSIGN_OR_RETURN(const Evaluation found,
                               EvaluateModel(*towers, eval::EvalConfig(), /*embed_batch=*/7));
        TORII_ASSIGN_OR_RETURN(const auto recommended,
                               Recommend(*towers, {0, 3, 5, 6}, {.k = 4, .embed_batch = 7}));
        if (comm.rank() != 0) return absl::OkStatus();
        if (device.is_host()) {
          want = found;
          lists = recommended;
          return absl::OkStatus();
        }
        EXPECT_EQ(found.ranks, want.ranks) << name;
        for (size_t u = 0; u < lists.size(); ++u) {
          EXPECT_EQ(recommended[u].size(), lists[u].size()) << name;
          for (size_t i = 0; i < lists[u].size(); ++i) {
            EXPECT_EQ(recommended[u][i].item, lists[u][i].item) << name;
            EXPECT_EQ(recommended[u][i].score, lists[u][i].score) << name;
          }
        }
        return absl::OkStatus();
      });
    }
  }
}

}  // namespace
}  // namespace torii::trainer
