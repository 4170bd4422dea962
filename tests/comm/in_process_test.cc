#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "base/exit_code.h"
#include "base/log.h"
#include "comm/checked_communicator.h"
#include "comm/in_process/rank_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/conformance.h"

namespace torii::comm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(InProcessTest, ConformsOnWorldsOfSeveralSizes) {
  for (const int world_size : {1, 2, 3, 4, 7}) {
    torii::testing::RunOnRanks(world_size, testing::CheckConformance);
  }
}

TEST(InProcessTest, RefusesWhatCannotTravel) {
  torii::testing::RunOnRanks(1, [](Communicator& comm) -> absl::Status {
    const auto refused = [&](at::Tensor tensor, const std::string& why) {
      const absl::Status status = comm.AllReduce(tensor, ReduceOp::kSum);
      EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
      EXPECT_THAT(Message(status), HasSubstr(why));
    };
    refused(at::Tensor(), "undefined");
    refused(at::zeros({2, 3}).t(), "contiguous");
    refused(at::zeros({2}, at::kBool), "Bool");
    refused(at::zeros({2}, at::kBFloat16), "bfloat16");
    refused(at::empty({2}, at::device(at::kMeta)), "meta");
    const std::vector<int64_t> two_rows = {2};
    EXPECT_THAT(Message(comm.AllGatherV(at::zeros({3}), two_rows).status()),
                HasSubstr("must have 2 rows"));
    EXPECT_FALSE(comm.AllGatherV(at::zeros({}), two_rows).ok());
    const std::vector<int64_t> too_many = {2, 2};
    EXPECT_FALSE(comm.ReduceScatterV(at::zeros({4}), too_many).ok());
    at::Tensor tensor = at::zeros({2});
    EXPECT_FALSE(comm.Broadcast(tensor, 1).ok());
    return Barrier(comm.control());  // a refused argument does not break the group
  });
}

TEST(InProcessTest, FailsOnAllRanksWhenCallsDiffer) {
  std::atomic<int> failed = 0;

  const absl::Status status = RunRanks(3, [&](Communicator& comm) {
    at::Tensor tensor = at::zeros({4});
    const absl::Status mine =
        comm.rank() == 1 ? comm.Broadcast(tensor, 0) : comm.AllReduce(tensor, ReduceOp::kSum);
    failed += mine.ok() ? 0 : 1;
    return mine;
  });

  EXPECT_EQ(failed, 3);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("AllReduce"), HasSubstr("Broadcast")));
}

TEST(InProcessTest, AbortEndsWaitingAndLaterCalls) {
  auto ranks = CreateInProcessGroup(3);
  absl::Status waiting;
  std::thread peer([&] { waiting = Barrier(ranks[0]->control()); });

  ranks[2]->Abort(DataError("row 7 is broken"));
  peer.join();
  ranks[1]->Abort(ConfigError("too late"));

  for (const absl::Status& status :
       {waiting, Barrier(ranks[1]->control()), Barrier(ranks[2]->control())}) {
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
    EXPECT_EQ(Message(status), "rank 2: row 7 is broken");
  }
}

TEST(InProcessTest, DeadlineNamesTheCallAndTheMissingRank) {
  auto ranks = CreateInProcessGroup(3, {.deadline = std::chrono::milliseconds(50)});
  at::Tensor tensor = at::zeros({4});
  std::array<absl::Status, 2> waited;
  std::thread peer([&] {
    at::Tensor own = at::zeros({4});
    waited[1] = ranks[1]->AllReduce(own, ReduceOp::kMax);
  });

  waited[0] = ranks[0]->AllReduce(tensor, ReduceOp::kMax);
  peer.join();

  for (const absl::Status& status : waited) {
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost);
    EXPECT_THAT(Message(status),
                AllOf(HasSubstr("AllReduce"), HasSubstr("call 0"), HasSubstr("for rank 2")));
  }
  EXPECT_EQ(ExitCodeOf(Barrier(ranks[2]->control())), ExitCode::kPeerLost);
}

TEST(InProcessTest, ARankThatLeavesBreaksTheGroup) {
  const absl::Status status = RunRanks(3, [](Communicator& comm) {
    return comm.rank() == 1 ? absl::OkStatus() : Barrier(comm.control());
  });

  EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("rank 1 has left"), HasSubstr("AllGatherBytes")));
}

TEST(RunRanksTest, ReturnsTheErrorOfTheRankThatFailed) {
  for (int failing = 0; failing < 4; ++failing) {
    const absl::Status status = RunRanks(4, [&](Communicator& comm) {
      return comm.rank() == failing ? DataError("bad row") : Barrier(comm.control());
    });

    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
    EXPECT_EQ(Message(status), "bad row");
  }
}

TEST(RunRanksTest, TurnsExceptionsIntoErrors) {
  for (int failing = 0; failing < 2; ++failing) {
    const auto run = [&](const std::function<void()>& fail) {
      return Message(RunRanks(2, [&](Communicator& comm) {
        if (comm.rank() == failing) {
          fail();
        }
        return Barrier(comm.control());
      }));
    };

    EXPECT_THAT(run([] { throw std::runtime_error("out of paper"); }), HasSubstr("out of paper"));
    EXPECT_THAT(run([] { (void)at::zeros({2}).reshape({3}); }),
                AllOf(HasSubstr("shape"), Not(HasSubstr("frame #"))));
    EXPECT_THAT(run([] { throw 5; }), HasSubstr("unknown type"));
  }
}

TEST(RunRanksTest, RanksHaveOneThreadAndTheirOwnLogRank) {
  at::set_num_threads(2);
  SetLogRank(9);

  torii::testing::RunOnRanks(3, [](Communicator& comm) {
    EXPECT_EQ(at::get_num_threads(), 1);
    EXPECT_EQ(LogRank(), comm.rank());
    return absl::OkStatus();
  });

  EXPECT_EQ(at::get_num_threads(), 2);
  EXPECT_EQ(LogRank(), 9);
  at::set_num_threads(1);
  SetLogRank(0);
}

TEST(AgreeOnStatusTest, GivesEveryRankAnErrorWhenOneHasIt) {
  torii::testing::RunOnRanks(4, [](Communicator& comm) -> absl::Status {
    TORII_RETURN_IF_ERROR(AgreeOnStatus(comm.control(), absl::OkStatus()));
    absl::Status mine;
    if (comm.rank() == 1) {
      mine = ConfigError("temperature is 0");
    } else if (comm.rank() == 3) {
      mine = DataError("no rows");
    }

    const absl::Status agreed = AgreeOnStatus(comm.control(), mine);

    if (mine.ok()) {
      EXPECT_EQ(ExitCodeOf(agreed), ExitCode::kConfig);
      EXPECT_EQ(Message(agreed), "rank 1: temperature is 0");
    } else {
      EXPECT_EQ(agreed, mine);
    }
    return Barrier(comm.control());  // the group goes on
  });
}

TEST(AgreeOnStatusTest, KeepsTheCodeOfEveryKindOfError) {
  torii::testing::RunOnRanks(2, [](Communicator& comm) -> absl::Status {
    for (const auto make : {UsageError, DataError, NoInputError, InternalError, CannotCreateError,
                            IoError, InterruptedError, PeerLostError, ConfigError, DivergedError}) {
      const absl::Status error = make("m");
      const absl::Status agreed =
          AgreeOnStatus(comm.control(), comm.rank() == 0 ? error : absl::OkStatus());
      EXPECT_EQ(ExitCodeOf(agreed), ExitCodeOf(error));
    }
    // A status made elsewhere counts as a bug.
    const absl::Status other = absl::NotFoundError("x");
    const absl::Status agreed =
        AgreeOnStatus(comm.control(), comm.rank() == 0 ? other : absl::OkStatus());
    EXPECT_EQ(ExitCodeOf(agreed), ExitCode::kInternal);
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace torii::comm
