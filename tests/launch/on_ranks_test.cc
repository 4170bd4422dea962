// What several ranks do together: waiting for rank 0, gathering rows.
#include <ATen/ATen.h>

#include <atomic>
#include <stdexcept>

#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "launch/dataset_on_ranks.h"
#include "launch/export_model.h"
#include "tests/support/run_on_ranks.h"

namespace torii::launch {
namespace {

TEST(OnRankZeroTest, OnlyRankZeroWorksAndAllGetItsStatus) {
  for (const int world : {1, 2, 3}) {
    for (const bool fails : {false, true}) {
      std::atomic<int> calls{0};
      testing::RunOnRanks(world, [&](comm::Communicator& comm) {
        const absl::Status status = OnRankZero(comm, [&]() -> absl::Status {
          ++calls;
          EXPECT_EQ(comm.rank(), 0);
          return fails ? DataError("a.csv:2: bad") : absl::OkStatus();
        });
        EXPECT_EQ(ExitCodeOf(status), fails ? ExitCode::kData : ExitCode::kOk);
        if (fails) {
          EXPECT_NE(std::string(status.message()).find("a.csv:2: bad"), std::string::npos);
        }
        return absl::OkStatus();
      });
      EXPECT_EQ(calls, 1);
    }
  }
}

TEST(OnRankZeroTest, AnExceptionIsAnInternalErrorEverywhere) {
  testing::RunOnRanks(2, [](comm::Communicator& comm) {
    const absl::Status status =
        OnRankZero(comm, []() -> absl::Status { throw std::runtime_error("broken"); });
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
    return absl::OkStatus();
  });
}

TEST(CheckWorldSizeTest, NamesBothNumbers) {
  EXPECT_TRUE(CheckWorldSize(3, 3).ok());
  const absl::Status status = CheckWorldSize(8, 5);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_EQ(status.message(),
            "8 ranks, but only 5 items: every rank must own an item; run at most 5 ranks");
}

TEST(GatherRowsTest, PutsTheRowsOfAllRanksInOrderOnRankZero) {
  for (const int world : {1, 2, 3, 4}) {
    for (const int64_t rows : {0, 1, 2, 7, 13}) {
      for (const int64_t block : {1, 3, 5, 100}) {
        testing::RunOnRanks(world, [&](comm::Communicator& comm) -> absl::Status {
          const int64_t owned = OwnedRows(rows, comm.rank(), world);
          at::Tensor local = at::empty({owned, 2});
          for (int64_t i = 0; i < owned; ++i) {
            local[i][0] = static_cast<float>(comm.rank() + i * world);
            local[i][1] = -1;
          }
          for (int64_t begin = 0; begin < rows; begin += block) {
            const int64_t end = std::min(begin + block, rows);
            TORII_ASSIGN_OR_RETURN(const at::Tensor all, GatherRows(comm, local, begin, end));
            if (comm.rank() != 0) continue;
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

}  // namespace
}  // namespace torii::launch
