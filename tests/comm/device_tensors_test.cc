// Tensors that do not lie on the host travel between the ranks of a process as others do.
#include <ATen/ATen.h>

#include "gtest/gtest.h"
#include "tests/comm/conformance.h"
#include "tests/support/elsewhere_device.h"

namespace torii::comm {
namespace {

using torii::testing::DeviceWaits;
using torii::testing::Elsewhere;

at::Tensor There(const at::Tensor& host) { return host.to(Elsewhere().torch()); }

// [rows, 2]
at::Tensor InputOf(int rank, int64_t rows) {
  return There(testing::MakeInput(rank, {rows, 2}, at::kFloat));
}

TEST(DeviceTensorsTest, EveryCallGivesWhatItGivesOnTheHost) {
  for (const int world_size : {1, 2, 3}) {
    torii::testing::RunOnRanks(world_size, [&](Communicator& comm) -> absl::Status {
      std::vector<int64_t> rows;
      for (int r = 0; r < world_size; ++r) rows.push_back(2 * r + 1);
      const int64_t mine = rows[static_cast<size_t>(comm.rank())];
      const int64_t all = world_size * world_size;
      const std::vector<int64_t> to_each(static_cast<size_t>(world_size), 2);

      const auto same = [](const at::Tensor& there, const at::Tensor& host) {
        EXPECT_EQ(there.device(), Elsewhere().torch());
        EXPECT_TRUE(at::equal(there.cpu(), host));
      };
      at::Tensor there = InputOf(comm.rank(), 5), host = there.cpu();
      TORII_RETURN_IF_ERROR(comm.AllReduce(there, ReduceOp::kSum));
      TORII_RETURN_IF_ERROR(comm.AllReduce(host, ReduceOp::kSum));
      same(there, host);
      TORII_RETURN_IF_ERROR(comm.Broadcast(there, world_size - 1));
      same(there, host);
      const at::Tensor own = InputOf(comm.rank(), mine), every = InputOf(comm.rank(), all);
      TORII_ASSIGN_OR_RETURN(const at::Tensor gathered, comm.AllGatherV(own, rows));
      TORII_ASSIGN_OR_RETURN(const at::Tensor gathered_host, comm.AllGatherV(own.cpu(), rows));
      same(gathered, gathered_host);
      TORII_ASSIGN_OR_RETURN(const at::Tensor summed, comm.ReduceScatterV(every, rows));
      TORII_ASSIGN_OR_RETURN(const at::Tensor summed_host, comm.ReduceScatterV(every.cpu(), rows));
      same(summed, summed_host);
      const at::Tensor sent = InputOf(comm.rank(), 2 * world_size);
      TORII_ASSIGN_OR_RETURN(const at::Tensor got, comm.AllToAllV(sent, to_each, to_each));
      TORII_ASSIGN_OR_RETURN(const at::Tensor got_host,
                             comm.AllToAllV(sent.cpu(), to_each, to_each));
      same(got, got_host);
      return absl::OkStatus();
    });
  }
}

// One rank has nobody to wait for, its device included.
TEST(DeviceTensorsTest, ASumOfOneRankWaitsForNothing) {
  torii::testing::RunOnRanks(1, [](Communicator& comm) -> absl::Status {
    at::Tensor tensor = InputOf(0, 3);
    const DeviceWaits waits;
    TORII_RETURN_IF_ERROR(comm.AllReduce(tensor, ReduceOp::kSum));
    EXPECT_TRUE(waits.list().empty());
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace torii::comm
