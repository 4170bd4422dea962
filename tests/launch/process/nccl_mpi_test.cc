// NCCL itself between processes that have GPUs, or one GPU as if they were on several hosts. Skipped
// where TORII_CUDA_PLUGIN names no plug-in or there is no GPU.
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "gtest/gtest.h"
#include "kernels/host_tensors.h"
#include "launch/process/gpu_world.h"
#include "tests/comm/conformance.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/gpu_device.h"
#include "tests/support/mpi_world.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"

namespace torii::launch {
namespace {

// The plug-in comes before everything else of LibTorch.
const bool kOpened = testing::Gpu().ok();

// Takes and gives tensors of the host; they travel on the GPU.
class FromHost final : public comm::Communicator {
 public:
  FromHost(comm::Communicator& comm, const kernels::Device& device)
      : comm_(comm), device_(device) {}
  int rank() const override { return comm_.rank(); }
  int world_size() const override { return comm_.world_size(); }
  comm::ControlPlane& control() override { return comm_.control(); }
  absl::Status AllReduce(at::Tensor& tensor, comm::ReduceOp op) override {
    at::Tensor there = There(tensor);
    TORII_RETURN_IF_ERROR(comm_.AllReduce(there, op));
    tensor.copy_(there);
    return absl::OkStatus();
  }
  absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                        std::span<const int64_t> rows) override {
    return Back(comm_.AllGatherV(There(in), rows));
  }
  absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                            std::span<const int64_t> rows) override {
    return Back(comm_.ReduceScatterV(There(in), rows));
  }
  absl::Status Broadcast(at::Tensor& tensor, int root) override {
    at::Tensor there = There(tensor);
    TORII_RETURN_IF_ERROR(comm_.Broadcast(there, root));
    tensor.copy_(there);
    return absl::OkStatus();
  }
  absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in, std::span<const int64_t> send_rows,
                                       std::span<const int64_t> recv_rows) override {
    return Back(comm_.AllToAllV(There(in), send_rows, recv_rows));
  }
  absl::StatusOr<std::unique_ptr<comm::Communicator>> Duplicate() override {
    TORII_ASSIGN_OR_RETURN(std::unique_ptr<comm::Communicator> other, comm_.Duplicate());
    auto result = std::make_unique<FromHost>(*other, device_);
    result->owned_ = std::move(other);
    return result;
  }
  void Abort(const absl::Status& reason) override { comm_.Abort(reason); }

 private:
  at::Tensor There(const at::Tensor& x) const { return x.to(device_.torch(), x.scalar_type()); }
  static absl::StatusOr<at::Tensor> Back(const absl::StatusOr<at::Tensor>& x) {
    TORII_RETURN_IF_ERROR(x.status());
    return (*x).cpu();
  }

  std::unique_ptr<comm::Communicator> owned_;
  comm::Communicator& comm_;
  const kernels::Device device_;
};

class NcclGpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kOpened) GTEST_SKIP() << testing::Gpu().status().message();
  }
  static absl::Status OnGpus(comm::ExchangeConfig::Sums sums,
                             const std::function<absl::Status(comm::Communicator&)>& body) {
    const testing::TestGpu& gpu = *testing::Gpu();
    return RunOnGpus(testing::World(), *gpu.plugin, gpu.device, sums, body);
  }
};

TEST_F(NcclGpuTest, ConformsWithSumsInRankOrder) {
  const absl::Status status =
      OnGpus(comm::ExchangeConfig::RANK_ORDER, [](comm::Communicator& comm) {
        FromHost from_host(comm, testing::Gpu()->device);
        return comm::testing::CheckConformance(from_host);
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(NcclGpuTest, ConformsWithSumsOfNccl) {
  const absl::Status status = OnGpus(comm::ExchangeConfig::NCCL, [](comm::Communicator& comm) {
    FromHost from_host(comm, testing::Gpu()->device);
    return comm::testing::CheckConformanceInAnyOrder(from_host);
  });
  EXPECT_TRUE(status.ok()) << status;
}

// The losses of ranks that are threads of one process, bit for bit.
TEST_F(NcclGpuTest, TrainsWhatThreadsTrain) {
  const testing::FakeDataset dataset(testing::SmallData());
  const int world = testing::World().world_size();
  std::vector<std::pair<std::string, testing::SmallRun>> runs;
  std::vector<std::vector<double>> want;
  for (auto [name, run] : testing::SmallRuns()) {
    run.steps = 5;
    run.model.device = testing::Gpu()->device;
    want.push_back(testing::TrainSmallOnThreads(world, dataset, run).losses);
    runs.emplace_back(name, run);
  }
  const absl::Status status =
      OnGpus(comm::ExchangeConfig::RANK_ORDER, [&](comm::Communicator& comm) -> absl::Status {
        for (size_t r = 0; r < runs.size(); ++r) {
          const auto& [name, run] = runs[r];
          TORII_ASSIGN_OR_RETURN(const auto training,
                                 testing::SmallTraining::Create(comm, dataset, run));
          std::vector<double> losses;
          for (int64_t step = 0; step < run.steps; ++step) {
            TORII_ASSIGN_OR_RETURN(losses.emplace_back(), training->Step(step));
          }
          EXPECT_EQ(losses, want[r]) << name;
        }
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace torii::launch
