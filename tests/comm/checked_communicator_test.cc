#include "comm/checked_communicator.h"

#include <ATen/ATen.h>

#include <mutex>

#include "base/exit_code.h"
#include "comm/in_process/rank_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/conformance.h"
#include "tests/comm/mismatch.h"

namespace torii::comm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(CheckedCommunicatorTest, ConformsLikeTheOneInside) {
  for (const int world_size : {1, 3}) {
    torii::testing::RunOnRanks(world_size, [](Communicator& comm) {
      return testing::CheckConformance(*MakeChecked(comm));
    });
  }
}

TEST(CheckedCommunicatorTest, NamesBothSidesOfAMismatchOnEveryRank) {
  for (const testing::Mismatch& mismatch : testing::Mismatches()) {
    torii::testing::RunOnRanks(3, [&](Communicator& comm) {
      const auto checked = MakeChecked(comm);

      const absl::Status status = mismatch.call(*checked, comm.rank() == 2);

      EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
      EXPECT_THAT(std::string(status.message()),
                  AllOf(HasSubstr("rank 0"), HasSubstr("rank 2"), HasSubstr(mismatch.first),
                        HasSubstr(mismatch.last)));
      return absl::OkStatus();
    });
  }
}

TEST(CheckedCommunicatorTest, DoesNotMakeTheCallThatDiffers) {
  torii::testing::RunOnRanks(2, [](Communicator& comm) {
    const auto checked = MakeChecked(comm);
    at::Tensor tensor = at::zeros({comm.rank() + 1});

    EXPECT_FALSE(checked->AllReduce(tensor, ReduceOp::kSum).ok());

    // One call was made, the comparison: the sequence number of the next says so.
    EXPECT_THAT(std::string(comm.Broadcast(tensor, /*root=*/2).message()), HasSubstr("(call 1)"));
    return absl::OkStatus();
  });
}

TEST(CheckedCommunicatorTest, PassesAbortOn) {
  auto ranks = CreateInProcessGroup(2);
  const auto checked = MakeChecked(*ranks[0]);

  checked->Abort(DataError("stop"));

  EXPECT_EQ(ExitCodeOf(Barrier(ranks[1]->control())), ExitCode::kData);
}

}  // namespace
}  // namespace torii::comm
