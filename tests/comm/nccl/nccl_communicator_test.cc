#include "comm/nccl/nccl_communicator.h"

#include <ATen/ATen.h>

#include <limits>
#include <thread>

#include "base/exit_code.h"
#include "comm/checked_communicator.h"
#include "comm/nccl/combine_in_rank_order.h"
#include "comm/reduce_in_rank_order.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/conformance.h"
#include "tests/comm/mismatch.h"
#include "tests/comm/nccl/fake_streams.h"

namespace torii::comm {
namespace {

using ::testing::AllOf;
using testing::FakeNccl;
using ::testing::HasSubstr;
using testing::MakeFakeWorld;
using testing::RunOverFakeNccl;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

void ExpectOk(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

TEST(NcclCommunicatorTest, ConformsWithSumsInRankOrder) {
  for (const bool waits_for_peers : {true, false}) {
    const FakeNccl fake({.waits_for_peers = waits_for_peers});
    for (const int world_size : {1, 2, 3, 4, 7}) {
      SCOPED_TRACE(world_size);
      ExpectOk(RunOverFakeNccl(world_size, MakeFakeWorld({.sums = ExchangeConfig::RANK_ORDER}),
                               testing::CheckConformance));
    }
  }
}

TEST(NcclCommunicatorTest, ConformsWithSumsOfNccl) {
  const FakeNccl fake({.delay = 0});
  for (const int world_size : {1, 2, 3, 4, 7}) {
    SCOPED_TRACE(world_size);
    ExpectOk(RunOverFakeNccl(world_size, MakeFakeWorld({}), testing::CheckConformanceInAnyOrder));
  }
}

TEST(NcclCommunicatorTest, CheckedNamesBothSidesOfAMismatch) {
  const FakeNccl fake;
  for (const testing::Mismatch& mismatch : testing::Mismatches()) {
    ExpectOk(RunOverFakeNccl(3, MakeFakeWorld({}), [&](Communicator& comm) {
      const absl::Status status = mismatch.call(*MakeChecked(comm), comm.rank() == 2);

      EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
      EXPECT_THAT(Message(status), AllOf(HasSubstr("rank 0"), HasSubstr("rank 2"),
                                         HasSubstr(mismatch.first), HasSubstr(mismatch.last)));
      return absl::OkStatus();
    }));
  }
}

// The sum of 1e8, 1 and -1e8 in float32 is 0 from the first and 1 from the last to the first.
TEST(NcclCommunicatorTest, TheSettingSaysWhoAdds) {
  const FakeNccl fake;
  for (const auto sums : {ExchangeConfig::NCCL, ExchangeConfig::RANK_ORDER}) {
    const float expected = sums == ExchangeConfig::NCCL ? 0.0f : 1.0f;
    ExpectOk(RunOverFakeNccl(3, MakeFakeWorld({.sums = sums}), [&](Communicator& comm) {
      const float values[] = {1e8f, -1e8f, 1.0f};
      const at::Tensor mine = at::full({4}, values[comm.rank()]);
      at::Tensor all = mine.clone();
      TORII_RETURN_IF_ERROR(comm.AllReduce(all, ReduceOp::kSum));
      TORII_ASSIGN_OR_RETURN(const at::Tensor slice,
                             comm.ReduceScatterV(mine, std::vector<int64_t>{1, 2, 1}));
      TORII_EXPECT_OR_RETURN(at::equal(all, at::full({4}, expected)));
      TORII_EXPECT_OR_RETURN(at::equal(slice, at::full({comm.rank() == 1 ? 2 : 1}, expected)));
      return absl::OkStatus();
    }));
  }
}

// The operations that rank 1 of 3 gives to NCCL in one call.
void ExpectPosted(ExchangeConfig::Sums sums, const std::string& expected,
                  const std::function<absl::Status(Communicator&)>& call) {
  FakeNccl fake;
  std::string posted;
  ExpectOk(RunOverFakeNccl(3, MakeFakeWorld({.sums = sums}), [&](Communicator& comm) {
    TORII_RETURN_IF_ERROR(call(comm));
    if (comm.rank() == 1) posted = fake.TakePosted(1);
    return absl::OkStatus();
  }));
  EXPECT_EQ(posted, expected);
}

TEST(NcclCommunicatorTest, GathersAtOnceWhereCountsAreEqualAndElseByBroadcasts) {
  const auto gather = [](std::vector<int64_t> rows) {
    return [rows](Communicator& comm) {
      const int64_t own = rows[static_cast<size_t>(comm.rank())];
      return comm.AllGatherV(at::ones({own, 2}), rows).status();
    };
  };
  ExpectPosted(ExchangeConfig::NCCL, "all_gather 24", gather({3, 3, 3}));
  ExpectPosted(ExchangeConfig::NCCL, "broadcast 16 of 0, broadcast 8 of 2", gather({2, 0, 1}));
  ExpectPosted(ExchangeConfig::NCCL, "", gather({0, 0, 0}));
}

TEST(NcclCommunicatorTest, LeavesEmptyMessagesOut) {
  // Rank r sends [r][q] rows to rank q.
  const int64_t rows[3][3] = {{1, 0, 2}, {3, 0, 0}, {0, 4, 0}};
  ExpectPosted(ExchangeConfig::NCCL, "send 12 of 0, recv 16 of 2", [&](Communicator& comm) {
    const auto own = static_cast<size_t>(comm.rank());
    std::vector<int64_t> send;
    std::vector<int64_t> recv;
    for (size_t peer = 0; peer < 3; ++peer) {
      send.push_back(rows[own][peer]);
      recv.push_back(rows[peer][own]);
    }
    const int64_t sent = send[0] + send[1] + send[2];
    return comm.AllToAllV(at::ones({sent}), send, recv).status();
  });
}

TEST(NcclCommunicatorTest, ReducesByTheOperationThatFits) {
  const auto scatter = [](std::vector<int64_t> rows) {
    return [rows](Communicator& comm) {
      const int64_t all = rows[0] + rows[1] + rows[2];
      return comm.ReduceScatterV(at::ones({all, 2}), rows).status();
    };
  };
  const auto all_reduce = [](ReduceOp op) {
    return [op](Communicator& comm) {
      at::Tensor tensor = at::ones({4});
      return comm.AllReduce(tensor, op);
    };
  };
  ExpectPosted(ExchangeConfig::NCCL, "all_reduce 16", all_reduce(ReduceOp::kSum));
  ExpectPosted(ExchangeConfig::NCCL, "reduce_scatter 16", scatter({2, 2, 2}));
  ExpectPosted(ExchangeConfig::NCCL, "reduce 8 of 0, reduce 16 of 2", scatter({1, 0, 2}));
  // Slices of 2, 1 and 1 elements.
  const std::string in_rank_order =
      "send 8 of 0, recv 4 of 0, send 4 of 1, recv 4 of 1, send 4 of 2, recv 4 of 2 | "
      "broadcast 8 of 0, broadcast 4 of 1, broadcast 4 of 2";
  ExpectPosted(ExchangeConfig::RANK_ORDER, in_rank_order, all_reduce(ReduceOp::kSum));
  ExpectPosted(ExchangeConfig::NCCL, in_rank_order, all_reduce(ReduceOp::kMin));
  ExpectPosted(ExchangeConfig::RANK_ORDER, "send 8 of 0, send 16 of 2", scatter({1, 0, 2}));
}

TEST(NcclCommunicatorTest, TensorsOnTheCpuGoThroughTheHost) {
  FakeNccl fake;
  const absl::Status status = RunRanks(3, [](Communicator& host) {
    const auto streams = std::make_shared<testing::FakeStreams>(testing::FakeStreamsOptions{
        .device = at::kMeta, .identity = absl::StrCat("GPU-", host.rank())});
    // Of the host's kind, whatever NCCL does.
    return RunOnNccl(host, MakeFakeWorld({}), streams, testing::CheckConformance);
  });
  ExpectOk(status);
  EXPECT_EQ(fake.TakePosted(0), "");
}

TEST(NcclCommunicatorTest, RefusesWhatCannotTravel) {
  const FakeNccl fake;
  ExpectOk(RunOverFakeNccl(2, MakeFakeWorld({}), [](Communicator& comm) -> absl::Status {
    const auto refused = [&](at::Tensor tensor, const std::string& why) {
      const absl::Status status = comm.AllReduce(tensor, ReduceOp::kSum);
      EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
      EXPECT_THAT(Message(status), HasSubstr(why));
    };
    refused(at::Tensor(), "undefined");
    refused(at::zeros({2, 3}).t(), "contiguous");
    refused(at::zeros({2}, at::kBFloat16), "bfloat16");
    refused(at::empty({2}, at::device(at::kMeta)), "is on meta");
    const std::vector<int64_t> two_rows = {2, 2};
    EXPECT_THAT(Message(comm.AllGatherV(at::zeros({3}), two_rows).status()),
                HasSubstr("must have 2 rows"));
    at::Tensor tensor = at::zeros({2});
    EXPECT_FALSE(comm.Broadcast(tensor, 2).ok());
    return comm.AllReduce(tensor, ReduceOp::kSum);  // the world goes on
  }));
}

// Every rank uses two communicators from two threads, which take turns differently on each rank.
TEST(NcclCommunicatorTest, DuplicatesDoNotMix) {
  const FakeNccl fake;
  ExpectOk(RunOverFakeNccl(3, MakeFakeWorld({}), [](Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto plan, comm.Duplicate());
    const auto calls = [](Communicator& on, float value) -> absl::Status {
      for (int i = 0; i < 50; ++i) {
        if ((i + on.rank()) % 3 == 0) std::this_thread::yield();
        at::Tensor tensor = at::full({17}, value + static_cast<float>(i));
        TORII_RETURN_IF_ERROR(on.AllReduce(tensor, ReduceOp::kSum));
        TORII_RETURN_IF_ERROR(Barrier(on.control()));
        TORII_EXPECT_OR_RETURN(
            at::equal(tensor, at::full({17}, 3 * (value + static_cast<float>(i)))));
      }
      return absl::OkStatus();
    };
    absl::Status planned;
    std::thread planner([&] { planned = calls(*plan, 1000); });

    const absl::Status computed = calls(comm, 0);

    planner.join();
    TORII_RETURN_IF_ERROR(planned);
    return computed;
  }));
}

// Without waiting for each call the host goes on, and the result comes when the peers do.
TEST(NcclCommunicatorTest, TheHostDoesNotWaitForTheDevice) {
  const FakeNccl fake({.waits_for_peers = false});
  const auto world = std::make_shared<NcclWorld>(testing::FakeNcclLibrary(), NcclOptions());
  std::atomic<bool> called = false;
  ExpectOk(RunOverFakeNccl(2, world, [&](Communicator& comm) -> absl::Status {
    at::Tensor tensor = at::ones({5});
    // Rank 1 calls after rank 0's call has returned.
    if (comm.rank() == 1) TORII_RETURN_IF_ERROR(Barrier(comm.control()));
    TORII_RETURN_IF_ERROR(comm.AllReduce(tensor, ReduceOp::kSum));
    if (comm.rank() == 0) {
      TORII_EXPECT_OR_RETURN(at::equal(tensor, at::ones({5})));
      TORII_RETURN_IF_ERROR(Barrier(comm.control()));
    }
    TORII_RETURN_IF_ERROR(Barrier(comm.control()));
    TORII_EXPECT_OR_RETURN(at::equal(tensor, at::full({5}, 2.0f)));
    return absl::OkStatus();
  }));
}

TEST(CombineInRankOrderTest, HasTheBitsOfTheCpuBackEnds) {
  const float nan = std::nanf("");
  const float inf = std::numeric_limits<float>::infinity();
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kLong, at::kInt, at::kByte}) {
    for (const int64_t ranks : {1, 2, 3, 7}) {
      for (const int64_t n : {1, 31, 1013}) {
        at::Tensor staged = (at::arange(ranks * n, at::kDouble) * 0.7311).sin() * 1e5;
        staged = staged.to(dtype == at::kByte ? at::kLong : dtype).to(dtype).view({ranks, n});
        if (at::isFloatingType(dtype) && n > 10) {
          const float special[] = {nan, inf, -inf, 0.0f, -0.0f};
          for (int64_t i = 0; i < 10; ++i) {
            staged[i % ranks][i].fill_(special[i % 5]);
            staged[(i + 1) % ranks][i].fill_(i < 5 ? 0.0f : -0.0f);
          }
        }
        for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax}) {
          std::vector<const void*> inputs;
          for (int64_t r = 0; r < ranks; ++r) inputs.push_back(staged[r].const_data_ptr());
          at::Tensor expected = at::empty({n}, dtype);
          void* to = expected.mutable_data_ptr();
          ReduceInRankOrder(dtype, op, inputs, std::span(&to, 1), 0, n);
          at::Tensor out = at::empty({n}, dtype);

          CombineInRankOrder(staged, op, out);

          const bool is_float = at::isFloatingType(dtype);
          const at::Tensor same =
              is_float ? out.eq(expected).logical_and(at::signbit(out).eq(at::signbit(expected)))
                       : out.eq(expected);
          const at::Tensor both_nan = out.ne(out).logical_and(expected.ne(expected));
          EXPECT_TRUE(same.logical_or(both_nan).all().item<bool>()) << ranks << " x " << n;
        }
      }
    }
  }
}

}  // namespace
}  // namespace torii::comm
