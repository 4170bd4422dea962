#include <ATen/ATen.h>

#include "base/exit_code.h"
#include "comm/checked_communicator.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/mpi/mpi_environment.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/conformance.h"
#include "tests/comm/mismatch.h"
#include "tests/support/mpi_world.h"

namespace torii::comm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<Communicator> MakeWorld(MpiOptions options) {
  auto world = MpiCommunicator::Create(MPI_COMM_WORLD, options);
  EXPECT_TRUE(world.ok()) << world.status();
  return std::move(world).value();
}

TEST(MpiCommunicatorTest, Conforms) {
  const absl::Status status = testing::CheckConformance(torii::testing::World());
  EXPECT_TRUE(status.ok()) << status;
}

TEST(MpiCommunicatorTest, ConformsWhenMessagesAreChunked) {
  for (const int64_t chunk_bytes : {100, 4096}) {
    const auto world = MakeWorld({.chunk_bytes = chunk_bytes});
    const absl::Status status = testing::CheckConformance(*world);
    EXPECT_TRUE(status.ok()) << "chunks of " << chunk_bytes << " bytes: " << status;
  }
}

// Several staging rounds with the default limit, compared in full.
TEST(MpiCommunicatorTest, ReducesMoreThanOneStagingBuffer) {
  Communicator& world = torii::testing::World();
  const int64_t elements = 2'000'003;
  at::Tensor mine = testing::MakeInput(world.rank(), {elements}, at::kFloat);
  at::Tensor expected = at::zeros({elements});
  for (int r = 0; r < world.world_size(); ++r) {
    expected += testing::MakeInput(r, {elements}, at::kFloat);
  }

  const absl::Status status = world.AllReduce(mine, ReduceOp::kSum);

  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(at::equal(mine, expected));
}

TEST(MpiCommunicatorTest, RefusesTensorsOfOtherDevices) {
  at::Tensor tensor = at::empty({2}, at::device(at::kMeta));

  const absl::Status status = torii::testing::World().AllReduce(tensor, ReduceOp::kSum);

  EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("MPI"), HasSubstr("meta")));
}

TEST(MpiCommunicatorTest, CheckedNamesBothSidesOfAMismatch) {
  Communicator& world = torii::testing::World();
  const int last = world.world_size() - 1;
  if (last == 0) {
    GTEST_SKIP() << "one rank agrees with itself";
  }
  const auto inner = MakeWorld({});
  const auto checked = MakeChecked(*inner);
  for (const testing::Mismatch& mismatch : testing::Mismatches()) {
    const absl::Status status = mismatch.call(*checked, world.rank() == last);

    EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("rank 0"), HasSubstr(absl::StrCat("rank ", last)),
                      HasSubstr(mismatch.first), HasSubstr(mismatch.last)));
  }
}

TEST(MpiCommunicatorTest, DeadlineNamesTheCall) {
  Communicator& world = torii::testing::World();
  if (world.world_size() == 1) {
    GTEST_SKIP() << "one rank waits for nobody";
  }
  auto impatient = MakeWorld({.deadline = std::chrono::milliseconds(100)});
  // The others do not come: they wait for rank 0 on the other communicator.
  if (world.rank() == 0) {
    at::Tensor tensor = at::zeros({3});
    for (const absl::Status& status :
         {impatient->AllReduce(tensor, ReduceOp::kMax), Barrier(impatient->control())}) {
      EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost);
      EXPECT_THAT(std::string(status.message()),
                  AllOf(HasSubstr("AllReduce of Float [3]"), HasSubstr("call 0")));
    }
  }
  // A group with a call that never ended cannot be taken down in order.
  static auto* const kept = new std::vector<std::unique_ptr<Communicator>>;
  kept->push_back(std::move(impatient));
  EXPECT_TRUE(Barrier(world.control()).ok());
}

TEST(MpiEnvironmentTest, KnowsTheRanksOfThisNode) {
  const MpiEnvironment& environment = torii::testing::Environment();

  EXPECT_TRUE(StartedByMpiLauncher());
  EXPECT_EQ(environment.rank(), torii::testing::World().rank());
  EXPECT_EQ(environment.world_size(), torii::testing::World().world_size());
  EXPECT_GE(environment.local_rank(), 0);
  EXPECT_LT(environment.local_rank(), environment.local_size());
  EXPECT_LE(environment.local_size(), environment.world_size());
  EXPECT_FALSE(MpiEnvironment::Create().ok());
}

}  // namespace
}  // namespace torii::comm
