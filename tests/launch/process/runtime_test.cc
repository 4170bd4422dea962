#include "launch/process/runtime.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <stdexcept>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "comm/peer_status.h"
#include "gtest/gtest.h"
#include "launch/process/cores.h"

namespace torii::launch {
namespace {

std::unique_ptr<Runtime> Started() {
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start();
  EXPECT_TRUE(runtime.ok()) << runtime.status();
  return std::move(runtime).value();
}

TEST(ErrorLineTest, HasTheExitCode) {
  EXPECT_EQ(ErrorLine(DataError("a.csv:3: bad")), "torii: error[65]: a.csv:3: bad");
  EXPECT_EQ(ErrorLine(absl::UnknownError("x")), "torii: error[70]: x");
}

TEST(ReportDelayTest, TheRankWithTheCauseSpeaksFirst) {
  const absl::Status own = DataError("bad row");
  const absl::Status heard = comm::FromPeer(3, DataError("bad row"));
  const absl::Status lost = PeerLostError("no answer");
  EXPECT_EQ(ReportDelayMs(0, own), 0);
  for (int rank = 1; rank < 100; ++rank) {
    EXPECT_GT(ReportDelayMs(rank, own), ReportDelayMs(0, own));
    EXPECT_LT(ReportDelayMs(rank, own), ReportDelayMs(0, heard));
    EXPECT_LT(ReportDelayMs(rank, own), ReportDelayMs(0, lost));
  }
}

TEST(CatchExceptionsTest, TurnsThemIntoInternalErrors) {
  const absl::Status torch = CatchExceptions([]() -> absl::Status {
    at::matmul(at::ones({2, 3}), at::ones({2, 3}));
    return absl::OkStatus();
  });
  EXPECT_EQ(ExitCodeOf(torch), ExitCode::kInternal);
  EXPECT_EQ(std::string(torch.message()).find("LibTorch: "), 0u);
  const absl::Status other =
      CatchExceptions([]() -> absl::Status { throw std::runtime_error("broken"); });
  EXPECT_EQ(other.message(), "broken");
  EXPECT_EQ(CatchExceptions([] { return DataError("mine"); }).message(), "mine");
}

TEST(RuntimeTest, RunsTheBodyOncePerRank) {
  const std::unique_ptr<Runtime> runtime = Started();
  for (const int64_t ranks : {0, 1, 2, 3}) {
    for (const bool checked : {false, true}) {
      std::atomic<int64_t> rank_sum{0};
      RankOptions options;
      options.ranks = ranks;
      options.check_collectives = checked;
      const absl::Status status =
          runtime->RunOnRanks(options, [&](comm::Communicator& comm, const kernels::Device&) {
            EXPECT_EQ(comm.world_size(), std::max<int64_t>(ranks, 1));
            rank_sum += comm.rank() + 1;
            return comm::Barrier(comm.control());
          });
      EXPECT_TRUE(status.ok()) << status;
      const int64_t world = std::max<int64_t>(ranks, 1);
      EXPECT_EQ(rank_sum, world * (world + 1) / 2);
    }
  }
  EXPECT_FALSE(runtime->under_mpi());
  EXPECT_TRUE(runtime->is_first_process());
}

TEST(RuntimeTest, EveryRankHasTheThreadsAskedFor) {
  const std::unique_ptr<Runtime> runtime = Started();
  RankOptions options;
  options.ranks = 3;
  options.threads = 2;
  const absl::Status status =
      runtime->RunOnRanks(options, [](comm::Communicator& comm, const kernels::Device&) {
        EXPECT_EQ(at::get_num_threads(), 2);
        return comm::Barrier(comm.control());
      });
  EXPECT_TRUE(status.ok()) << status;
  SetIntraOpThreads(1);
}

TEST(RuntimeTest, OneRanksErrorIsTheResultAndNobodyHangs) {
  const std::unique_ptr<Runtime> runtime = Started();
  RankOptions options;
  options.ranks = 4;
  options.threads = 1;
  const absl::Status status =
      runtime->RunOnRanks(options, [](comm::Communicator& comm, const kernels::Device&) {
        if (comm.rank() == 2) return DataError("a.csv:7: not a number");
        return comm::Barrier(comm.control());
      });
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_NE(std::string(status.message()).find("a.csv:7"), std::string::npos);
}

TEST(RuntimeTest, ASignalSetsTheStopFlag) {
  const std::unique_ptr<Runtime> runtime = Started();
  const std::atomic<bool>* stop = runtime->StopOnSignals();
  EXPECT_FALSE(stop->load());
  ::raise(SIGUSR1);
  EXPECT_TRUE(stop->load());
  ::signal(SIGUSR1, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
}

TEST(RuntimeTest, RefusesAMalformedFailpoint) {
  ::setenv("TORII_FAIL", "name=explode", 1);
  const absl::Status status = Runtime::Start().status();
  ::unsetenv("TORII_FAIL");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_NE(std::string(status.message()).find("TORII_FAIL"), std::string::npos);
  ASSERT_TRUE(ArmFailpoints("").ok());
}

TEST(FairThreadsTest, SharesCoresAmongTheRanksThatMayUseThem) {
  EXPECT_EQ(FairThreads({{0, 1, 2, 3}}, 0), 4);
  EXPECT_EQ(FairThreads({{0, 1, 2, 3}, {0, 1, 2, 3}}, 1), 2);
  EXPECT_EQ(FairThreads({{0, 1}, {2, 3}}, 0), 2);                   // bound to cores of their own
  EXPECT_EQ(FairThreads({{0}, {0}, {0}}, 2), 1);                    // more ranks than cores
  EXPECT_EQ(FairThreads({{0, 1, 2}, {0, 1, 2}}, 0), 1);             // 1.5 each
  EXPECT_EQ(FairThreads({{0, 1, 2, 3}, {3}}, 0), 3);                // 3.5
  EXPECT_EQ(FairThreads({{0, 1, 2}, {0, 1, 2}, {0, 1, 2}}, 0), 1);  // 3 x 1/3 is one
}

TEST(OversubscriptionWarningTest, WarnsOnlyAboveTheCores) {
  EXPECT_EQ(OversubscriptionWarning(2, 1, 2), "");
  EXPECT_EQ(OversubscriptionWarning(2, 2, 2),
            "2 ranks of 2 threads on 2 cores: more threads than cores, this will be slow");
  EXPECT_NE(OversubscriptionWarning(3, 1, 1), "");
}

TEST(AllowedCoresTest, AreThoseOfTheAffinityMask) {
  const std::vector<int> all = AllowedCores();
  ASSERT_FALSE(all.empty());
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(std::ssize(all), CPU_COUNT(&before));
  for (const int core : all) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(core), &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(AllowedCores(), std::vector<int>{core});
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(CompareCoresTest, RanksOfOneProcessShareItsCores) {
  const std::unique_ptr<Runtime> runtime = Started();
  RankOptions options;
  options.ranks = 3;
  options.threads = 1;
  const absl::Status status = runtime->RunOnRanks(
      options, [](comm::Communicator& comm, const kernels::Device&) -> absl::Status {
        TORII_ASSIGN_OR_RETURN(const NodeCores node, CompareCores(comm.control()));
        EXPECT_EQ(node.ranks, 3);
        EXPECT_EQ(node.cores, std::ssize(AllowedCores()));
        EXPECT_EQ(node.fair_threads, std::max(1, static_cast<int>(AllowedCores().size()) / 3));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace torii::launch
