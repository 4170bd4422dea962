#include <ATen/ATen.h>

#include <algorithm>

#include "base/partition.h"
#include "base/status_macros.h"
#include "exports/export_model.h"
#include "gtest/gtest.h"
#include "tests/support/elsewhere_device.h"
#include "tests/support/run_on_ranks.h"

namespace torii::exports {
namespace {

void ExpectRowsInOrder(const kernels::Device& device) {
  for (const int world : {1, 2, 3, 4}) {
    for (const int64_t rows : {0, 1, 2, 7, 13}) {
      for (const int64_t block : {1, 2, 3, 4, 100, 101}) {
        const auto kind = block % 2 == 0 ? Partition::Kind::kBlocks : Partition::Kind::kRowModWorld;
        testing::RunOnRanks(world, [&](comm::Communicator& comm) -> absl::Status {
          const Partition partition(kind, rows, world);
          const int64_t owned = partition.OwnedRows(comm.rank());
          at::Tensor local = at::empty({owned, 2});
          for (int64_t i = 0; i < owned; ++i) {
            local[i][0] = static_cast<float>(partition.Row(comm.rank(), i));
            local[i][1] = -1;
          }
          local = local.to(device.torch());
          for (int64_t begin = 0; begin < rows; begin += block) {
            const int64_t end = std::min(begin + block, rows);
            TORII_ASSIGN_OR_RETURN(const at::Tensor gathered,
                                   GatherRows(comm, partition, local, begin, end));
            if (comm.rank() != 0) continue;
            const at::Tensor all = gathered.cpu();
            TORII_EXPECT_OR_RETURN(all.size(0) == end - begin);
            for (int64_t i = 0; i < end - begin; ++i) {
              TORII_EXPECT_OR_RETURN(all[i][0].item<float>() == static_cast<float>(begin + i));
              TORII_EXPECT_OR_RETURN(all[i][1].item<float>() == -1);
            }
          }
          return absl::OkStatus();
        });
      }
    }
  }
}

TEST(GatherRowsTest, PutsTheRowsOfAllRanksInOrderOnRankZero) {
  ExpectRowsInOrder(kernels::Device::Cpu());
  ExpectRowsInOrder(testing::Elsewhere());
}

}  // namespace
}  // namespace torii::exports
