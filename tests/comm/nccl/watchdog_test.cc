#include "comm/nccl/watchdog.h"

#include <ATen/ATen.h>

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/nccl/fake_streams.h"

namespace torii::comm {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::FakeNccl;
using ::testing::HasSubstr;
using testing::HearOverFakeNccl;
using ::testing::Not;
using testing::RunOverFakeNccl;

constexpr milliseconds kInterval{2};

std::string Message(const absl::Status& status) { return std::string(status.message()); }

absl::Status AllReduce(Communicator& comm) {
  at::Tensor tensor = at::ones({4});
  return comm.AllReduce(tensor, ReduceOp::kSum);
}

// A world where the host does not wait for the device, so that only a watchdog sees what happens.
// Memory of the CPU is not freed in the order of a stream: what a call uses must outlive the device.
std::shared_ptr<NcclWorld> MakeWorld(NcclOptions options) {
  options.leave_within = milliseconds(5);
  return std::make_shared<NcclWorld>(testing::FakeNcclLibrary(), options);
}

// An exit that only notes the code.
struct NotedExit {
  std::atomic<int> code = -1;
  std::function<void(int)> Function() {
    return [this](int exit_code) { code = exit_code; };
  }
};

// Rank 0 waits in a call of the control plane, and its device for rank 1, which comes only when rank
// 0 has heard that the world has ended.
class WaitOnTheHost {
 public:
  absl::Status operator()(Communicator& comm) {
    if (comm.rank() == 1) {
      while (!heard_) std::this_thread::yield();
      return Barrier(comm.control());
    }
    absl::Status status = AllReduce(comm);
    if (status.ok()) status = Barrier(comm.control());
    heard_ = true;
    return status;
  }

 private:
  std::atomic<bool> heard_ = false;
};

TEST(WatchdogTest, ACallThatIsTooOldOnTheDeviceEndsTheWorld) {
  FakeNccl fake({.waits_for_peers = false});
  NotedExit exit;
  const auto world = MakeWorld({.deadline = milliseconds(150)});
  std::vector<absl::Status> heard;
  WaitOnTheHost wait;
  ::testing::internal::CaptureStderr();
  {
    const Watchdog watchdog(world, {.interval = kInterval, .exit = exit.Function()});
    heard = HearOverFakeNccl(2, world, std::ref(wait));
  }

  for (const absl::Status& mine : heard) {
    EXPECT_EQ(ExitCodeOf(mine), ExitCode::kPeerLost);
    EXPECT_THAT(Message(mine),
                AllOf(HasSubstr("rank 0 waited"), HasSubstr("AllReduce of Float [4]"),
                      HasSubstr("on the device")));
  }
  EXPECT_THAT(
      ::testing::internal::GetCapturedStderr(),
      AllOf(
          HasSubstr("watchdog: rank 0 waited"),
          HasSubstr("flight: rank 0 of ranks 0 to 1: AllReduce of Float [4], sum (call 0), on the "
                    "device for")));
  EXPECT_EQ(fake.aborts(), 2);
  EXPECT_EQ(exit.code, -1);  // the ranks have left by themselves
}

TEST(WatchdogTest, CallsThatEndAreNoAlarm) {
  const FakeNccl fake({.waits_for_peers = false});
  NotedExit exit;
  const auto world = MakeWorld({.deadline = std::chrono::seconds(20)});
  ::testing::internal::CaptureStderr();
  absl::Status status;
  {
    const Watchdog watchdog(world, {.interval = milliseconds(1), .exit = exit.Function()});
    status = RunOverFakeNccl(3, world, [](Communicator& comm) -> absl::Status {
      at::Tensor tensor = at::ones({4});
      for (int i = 0; i < 200; ++i) {
        TORII_RETURN_IF_ERROR(comm.Broadcast(tensor, i % 3));
        TORII_RETURN_IF_ERROR(Barrier(comm.control()));
      }
      return absl::OkStatus();
    });
  }

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(world->reason().ok());
  EXPECT_EQ(exit.code, -1);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), Not(HasSubstr("watchdog")));
}

TEST(WatchdogTest, ASlowCallIsSaidOnce) {
  const FakeNccl fake({.delay = 0, .waits_for_peers = false});
  const auto world =
      MakeWorld({.deadline = std::chrono::seconds(20), .warn_after = milliseconds(5)});
  ::testing::internal::CaptureStderr();
  {
    const Watchdog watchdog(world, {.interval = kInterval});
    // The device still uses the tensor of rank 0 when its call has returned.
    std::array<at::Tensor, 2> tensors = {at::ones({4}), at::ones({4})};
    const absl::Status status = RunOverFakeNccl(2, world, [&](Communicator& comm) -> absl::Status {
      if (comm.rank() == 1) std::this_thread::sleep_for(milliseconds(60));
      TORII_RETURN_IF_ERROR(
          comm.AllReduce(tensors[static_cast<size_t>(comm.rank())], ReduceOp::kSum));
      return Barrier(comm.control());
    });
    EXPECT_TRUE(status.ok()) << status;
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  const size_t first = log.find("stuck: rank 0 waited 5 ms in AllReduce");
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("stuck: rank 0", first + 1), std::string::npos) << log;
}

TEST(WatchdogTest, ErrorsOfNcclAndOfTheDeviceEndTheWorld) {
  for (const bool device_fails : {false, true}) {
    FakeNccl fake({.waits_for_peers = false});
    const auto world = MakeWorld({});
    std::vector<absl::Status> heard;
    WaitOnTheHost wait;
    {
      const Watchdog watchdog(world, {.interval = kInterval});
      heard = HearOverFakeNccl(
          2, world,
          [&](Communicator& comm) -> absl::Status {
            TORII_RETURN_IF_ERROR(Barrier(comm.control()));
            if (comm.rank() == 0 && !device_fails) fake.BreakConnections(1);
            return wait(comm);
          },
          device_fails);
    }
    for (const absl::Status& mine : heard) {
      EXPECT_EQ(ExitCodeOf(mine), ExitCode::kPeerLost);
      EXPECT_THAT(Message(mine), HasSubstr(device_fails ? "an illegal memory access"
                                                        : "rank 1: NCCL: remote error"));
    }
  }
}

// The abort hangs as it does when the device does not come back.
TEST(WatchdogTest, AProcessWhoseDeviceHangsIsEnded) {
  FakeNccl fake({.waits_for_peers = false, .abort_hangs = true});
  const auto world = MakeWorld({.deadline = milliseconds(30)});
  std::atomic<int> code = -1;
  {
    const Watchdog watchdog(
        world, {.interval = kInterval, .grace = milliseconds(40), .exit = [&](int exit_code) {
                  code = exit_code;
                  fake.LetAbortsGoOn();  // instead of the end of the process
                }});
    WaitOnTheHost wait;
    RunOverFakeNccl(2, world, std::ref(wait)).IgnoreError();
  }
  EXPECT_EQ(code, 76);
}

TEST(WatchdogTest, SoIsOneWhoseRankHangsInItsOwnAbort) {
  FakeNccl fake({.waits_for_peers = false, .abort_hangs = true});
  const auto world = MakeWorld({});
  std::atomic<int> code = -1;
  {
    const Watchdog watchdog(
        world, {.interval = kInterval, .grace = milliseconds(40), .exit = [&](int exit_code) {
                  code = exit_code;
                  fake.LetAbortsGoOn();
                }});
    RunOverFakeNccl(2, world, [&](Communicator& comm) {
      if (comm.rank() == 1) return Barrier(comm.control());
      comm.Abort(DataError("row 7 is broken"));
      return DataError("row 7 is broken");
    }).IgnoreError();
  }
  EXPECT_EQ(code, 65);
}

// A rank that never looks at its communicator again, and the real end of a process.
TEST(WatchdogDeathTest, EndsTheProcessWithExitCode76) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto hang = [] {
    const FakeNccl fake({.waits_for_peers = false});
    const auto world = MakeWorld({.deadline = milliseconds(30)});
    const Watchdog watchdog(world, {.interval = kInterval, .grace = milliseconds(40)});
    RunOverFakeNccl(2, world, [](Communicator& comm) -> absl::Status {
      if (comm.rank() == 0) TORII_RETURN_IF_ERROR(AllReduce(comm));
      while (true) std::this_thread::sleep_for(std::chrono::seconds(1));
    }).IgnoreError();
  };
  EXPECT_EXIT(hang(), ::testing::ExitedWithCode(76), "flight: rank 0 of ranks 0 to 1: AllReduce");
}

}  // namespace
}  // namespace torii::comm
