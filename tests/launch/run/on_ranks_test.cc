#include <atomic>
#include <stdexcept>

#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "launch/run/dataset_on_ranks.h"
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

}  // namespace
}  // namespace torii::launch
