// What ranks hear when one of them is gone, disagrees or gives up, through the stand-in for NCCL.
#include <ATen/ATen.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>

#include "base/exit_code.h"
#include "comm/nccl/nccl_communicator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/mismatch.h"
#include "tests/comm/nccl/fake_streams.h"

namespace torii::comm {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::FakeNccl;
using ::testing::HasSubstr;
using testing::HearOverFakeNccl;
using testing::MakeFakeWorld;
using testing::RunOverFakeNccl;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

absl::Status AllReduce(Communicator& comm) {
  at::Tensor tensor = at::ones({4});
  return comm.AllReduce(tensor, ReduceOp::kSum);
}

TEST(NcclFaultsTest, CallsThatDifferFailOnEveryRank) {
  for (const testing::Mismatch& mismatch : testing::Mismatches()) {
    // NCCL cannot see that minima meet maxima: Torii takes both from the same messages. A call of
    // the control plane does not meet NCCL. The checking decorator finds both.
    if (mismatch.first == "max" || mismatch.last == "AllGatherBytes") continue;
    const FakeNccl fake;
    for (const absl::Status& mine : HearOverFakeNccl(3, MakeFakeWorld({}), [&](Communicator& comm) {
           return mismatch.call(comm, /*is_last=*/comm.rank() == 2);
         })) {
      EXPECT_EQ(ExitCodeOf(mine), ExitCode::kInternal) << mismatch.first;
      EXPECT_THAT(Message(mine), AllOf(HasSubstr("NCCL: invalid usage"), HasSubstr("(call 0)")));
    }
  }
}

TEST(NcclFaultsTest, ALostRankEndsTheWaitAtTheDeadline) {
  FakeNccl fake;
  const auto world = MakeFakeWorld({.deadline = milliseconds(60), .leave_within = milliseconds(5)});
  const std::vector<absl::Status> heard = HearOverFakeNccl(3, world, [](Communicator& comm) {
    if (comm.rank() == 1) return absl::OkStatus();  // and leaves
    const absl::Status mine = AllReduce(comm);
    EXPECT_EQ(Barrier(comm.control()), mine);
    return mine;
  });

  for (const size_t rank : {0, 2}) {
    EXPECT_EQ(ExitCodeOf(heard[rank]), ExitCode::kPeerLost);
    EXPECT_THAT(Message(heard[rank]),
                HasSubstr("waited 60 ms in AllReduce of Float [4], sum (call 0) for its peers"));
  }
  EXPECT_EQ(heard[0], heard[2]);
  EXPECT_EQ(fake.aborts(), 3);
}

TEST(NcclFaultsTest, AWaitThatIsTooLongIsSaidBeforeTheDeadline) {
  const FakeNccl fake;
  const auto world = MakeFakeWorld({.deadline = milliseconds(80),
                                    .warn_after = milliseconds(10),
                                    .leave_within = milliseconds(5)});
  ::testing::internal::CaptureStderr();
  RunOverFakeNccl(2, world, [](Communicator& comm) {
    return comm.rank() == 1 ? absl::OkStatus() : AllReduce(comm);
  }).IgnoreError();

  EXPECT_THAT(
      ::testing::internal::GetCapturedStderr(),
      HasSubstr("stuck: rank 0 waited 10 ms in AllReduce of Float [4], sum (call 0) for its "
                "peers; it gives up after 80 ms"));
}

TEST(NcclFaultsTest, AnAbortEndsCallsInProgressAndAllLaterOnes) {
  for (const bool waits_for_peers : {true, false}) {
    FakeNccl fake({.waits_for_peers = waits_for_peers});
    std::atomic<int> waiting = 0;
    std::array<absl::Status, 3> heard;
    const absl::Status status =
        RunOverFakeNccl(3, MakeFakeWorld({}), [&](Communicator& comm) -> absl::Status {
          TORII_ASSIGN_OR_RETURN(const auto duplicate, comm.Duplicate());
          if (comm.rank() == 2) {
            while (waiting < 2) std::this_thread::yield();
            comm.Abort(DataError("row 7 is broken"));
            EXPECT_EQ(fake.aborts(), 6);  // the device does not wait any more either
          } else {
            ++waiting;
            heard[static_cast<size_t>(comm.rank())] = AllReduce(comm);
          }
          const std::vector<int64_t> counts(3);
          for (const absl::Status& later :
               {AllReduce(comm), AllReduce(*duplicate), Barrier(comm.control()),
                ExchangeCounts(duplicate->control(), counts).status(), comm.Duplicate().status()}) {
            EXPECT_EQ(Message(later), "rank 2: row 7 is broken");
          }
          return DataError("row 7 is broken");
        });

    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
    for (const size_t rank : {0, 1}) {
      EXPECT_EQ(ExitCodeOf(heard[rank]), ExitCode::kData);
      EXPECT_EQ(Message(heard[rank]), "rank 2: row 7 is broken");
    }
    EXPECT_EQ(fake.aborts(), 6);
  }
}

TEST(NcclFaultsTest, AnAbortEndsTheStart) {
  FakeNccl fake({.rank_that_never_starts = 1});
  const auto world = MakeFakeWorld({});
  std::thread aborting([&] {
    while (fake.starts() < 3) std::this_thread::yield();
    world->End(InterruptedError("stopped by a signal")).IgnoreError();
  });

  const absl::Status status = RunOverFakeNccl(3, world, AllReduce);

  aborting.join();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kInterrupted);
  EXPECT_EQ(fake.aborts(), 3);
}

TEST(NcclFaultsTest, AStartThatTakesTooLongFails) {
  const FakeNccl fake({.rank_that_never_starts = 1});

  const absl::Status status =
      RunOverFakeNccl(3, MakeFakeWorld({.start_deadline = milliseconds(30)}), AllReduce);

  EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("waited 30 ms"), HasSubstr("ncclCommInitRank")));
}

TEST(NcclFaultsTest, ARankThatCannotStartEndsTheStartOfTheOthers) {
  const FakeNccl fake({.rank_that_cannot_start = 1});
  std::array<absl::Status, 3> heard;
  const auto world = MakeFakeWorld({});
  RunRanks(3, [&](Communicator& host) {
    return heard[static_cast<size_t>(host.rank())] =
               CreateNccl(host, world, testing::StreamsOfRank(host.rank())).status();
  }).IgnoreError();

  for (const absl::Status& mine : heard) {
    EXPECT_EQ(ExitCodeOf(mine), ExitCode::kPeerLost);
    EXPECT_THAT(Message(mine), HasSubstr("rank 1: NCCL: system error in ncclCommInitRankConfig"));
  }
}

TEST(NcclFaultsTest, WithoutAnIdNoRankStarts) {
  const FakeNccl fake({.id_fails = true});

  const absl::Status status = RunOverFakeNccl(3, MakeFakeWorld({}), AllReduce);

  EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("ncclGetUniqueId"), HasSubstr("no network")));
}

TEST(NcclFaultsTest, AnErrorOrAnExceptionOfOneRankFreesTheOthers) {
  for (const bool throws : {false, true}) {
    const FakeNccl fake;
    const std::vector<absl::Status> heard =
        HearOverFakeNccl(2, MakeFakeWorld({}), [&](Communicator& comm) {
          if (comm.rank() == 0) return AllReduce(comm);
          if (throws) throw std::runtime_error("out of paper");
          return DataError("bad row");
        });

    EXPECT_THAT(Message(heard[0]), HasSubstr(throws ? "rank 1: an exception" : "rank 1: bad row"));
  }
}

TEST(NcclFaultsTest, AnErrorOfTheNetworkIsALostPeer) {
  FakeNccl fake;
  absl::Status heard;
  RunOverFakeNccl(2, MakeFakeWorld({}), [&](Communicator& comm) {
    if (comm.rank() == 1) return Barrier(comm.control());
    fake.BreakConnections(0);
    return heard = AllReduce(comm);
  }).IgnoreError();

  EXPECT_EQ(ExitCodeOf(heard), ExitCode::kPeerLost);
  EXPECT_THAT(Message(heard), AllOf(HasSubstr("remote error"), HasSubstr("AllReduce of Float")));
}

// The end of the host's world is the end of this one: rank 1 does not wait in NCCL for a rank that
// has left.
TEST(NcclFaultsTest, AnErrorOfTheHostEndsTheWorld) {
  const FakeNccl fake;
  const auto world = MakeFakeWorld({.leave_within = milliseconds(5)});
  const std::vector<absl::Status> heard = HearOverFakeNccl(3, world, [](Communicator& comm) {
    if (comm.rank() == 2) return absl::OkStatus();
    return comm.rank() == 0 ? Barrier(comm.control()) : AllReduce(comm);
  });

  EXPECT_EQ(ExitCodeOf(heard[0]), ExitCode::kPeerLost);
  EXPECT_THAT(Message(heard[0]), HasSubstr("rank 2 has left the group"));
  EXPECT_EQ(heard[1], heard[0]);
}

TEST(NcclFaultsTest, ACommunicatorIsDestroyedWithoutPeersThatDoNotCome) {
  FakeNccl fake;
  ::testing::internal::CaptureStderr();
  const auto world = MakeFakeWorld({.leave_within = milliseconds(10)});
  std::atomic<bool> destroyed = false;
  const absl::Status status = RunOverFakeNccl(2, world, [&](Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(auto duplicate, comm.Duplicate());
    if (comm.rank() == 0) {
      duplicate.reset();
      destroyed = true;
    }
    while (!destroyed) std::this_thread::yield();
    return AllReduce(comm);  // the world goes on
  });

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("rank 0 leaves an NCCL communicator without its peers"));
}

TEST(HostMarkTest, WaitsUntilDoneOrWhatEndsTheWait) {
  class Mark final : public HostMark {
   public:
    absl::Status Record() override { return absl::OkStatus(); }
    absl::StatusOr<bool> IsDone() const override {
      if (looks_until_error-- == 0) return InternalError("illegal access");
      return looks_until_done-- == 0;
    }
    mutable int looks_until_done = -1;
    mutable int looks_until_error = -1;
  };
  const auto soon = [] { return std::chrono::steady_clock::now() + milliseconds(20); };
  const auto never = [] { return absl::OkStatus(); };
  Mark mark;
  mark.looks_until_done = 300;
  EXPECT_TRUE(mark.Wait(soon() + std::chrono::hours(1), never).ok());
  EXPECT_EQ(ExitCodeOf(mark.Wait(soon(), never)), ExitCode::kPeerLost);
  EXPECT_EQ(Message(mark.Wait(soon(), [] { return DataError("bad row"); })), "bad row");
  mark.looks_until_error = 3;
  EXPECT_EQ(Message(mark.Wait(soon() + std::chrono::hours(1), never)), "illegal access");
}

}  // namespace
}  // namespace torii::comm
