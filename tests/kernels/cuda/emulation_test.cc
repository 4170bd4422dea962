#include "kernels/cuda/emulation.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {
namespace {

using emulation::Order;

class EmulationTest : public ::testing::TestWithParam<Order> {
 protected:
  void SetUp() override { emulation::SetOrder(GetParam()); }
  void TearDown() override { emulation::SetOrder(Order::kForward); }
};
INSTANTIATE_TEST_SUITE_P(Orders, EmulationTest,
                         ::testing::Values(Order::kForward, Order::kBackward));

void CountThreads(int* counts) {
  const int64_t block = static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
  ++counts[block * BlockThreads() + Thread()];
}

TEST_P(EmulationTest, RunsEveryThreadOfEveryBlockOnce) {
  for (const Lanes lanes : {Lanes::kApart, Lanes::kMeet}) {
    std::vector<int> counts(3 * 2 * 96, 0);
    Launch(CountThreads, {.blocks = 3, .blocks_y = 2, .threads = 96, .lanes = lanes},
           counts.data());
    EXPECT_EQ(counts, std::vector<int>(counts.size(), 1));
  }
}

TEST_P(EmulationTest, NoBlocksAreNoLaunch) {
  int count = 0;
  Launch(CountThreads, {.blocks = 0, .threads = 32}, &count);
  EXPECT_EQ(count, 0);
}

// Each thread reads what the thread at the other end of the block wrote.
void Reverse(int* values, bool waits) {
  int* const shared = SharedMemory<int>();
  shared[Thread()] = values[Thread()];
  if (waits) __syncthreads();
  values[Thread()] = shared[static_cast<int>(BlockThreads()) - 1 - Thread()];
}

std::vector<int> Reversed(bool waits) {
  std::vector<int> values;
  for (int i = 0; i < 128; ++i) values.push_back(i);
  Launch(Reverse, {.threads = 128, .shared_bytes = 128 * sizeof(int), .lanes = Lanes::kMeet},
         values.data(), waits);
  return values;
}

TEST_P(EmulationTest, ABarrierLetsAllWritesBeSeenAndItsLackShows) {
  std::vector<int> expected;
  for (int i = 0; i < 128; ++i) expected.push_back(127 - i);
  EXPECT_EQ(Reversed(true), expected);
  EXPECT_NE(Reversed(false), expected);
}

void ShuffleLanes(float* sums, int* firsts, bool* any) {
  sums[Thread()] = WarpSum(static_cast<float>(Thread()));
  firsts[Thread()] = __shfl_sync(kAllLanes, Thread(), 3);
  any[Thread()] = __any_sync(kAllLanes, Thread() == 40);
}

TEST_P(EmulationTest, LanesExchangeWithinTheirWarp) {
  std::vector<float> sums(64);
  std::vector<int> firsts(64);
  bool any[64];
  Launch(ShuffleLanes, {.threads = 64, .lanes = Lanes::kMeet}, sums.data(), firsts.data(), &any[0]);
  for (size_t t = 0; t < 64; ++t) {
    EXPECT_EQ(sums[t], t < 32 ? 496 : 496 + 32 * 32);
    EXPECT_EQ(firsts[t], t < 32 ? 3 : 35);
    EXPECT_EQ(any[t], t >= 32);
  }
}

// Two groups of copies of each thread; what has arrived after waiting for all but one, and for all.
void CopyLate(const float* from, float* seen) {
  float* const mine = SharedMemory<float>() + Thread() * 8;
  emulation::CopyLater(mine, from);
  emulation::CloseGroupOfCopies();
  emulation::CopyLater(mine + 4, from + 4);
  emulation::CloseGroupOfCopies();
  seen[Thread() * 4] = mine[0];
  emulation::WaitForCopies(1);
  seen[Thread() * 4 + 1] = mine[0];
  seen[Thread() * 4 + 2] = mine[4];
  emulation::WaitForCopies(0);
  seen[Thread() * 4 + 3] = mine[4];
}

TEST_P(EmulationTest, CopiesLandOnlyWhenTheyAreWaitedFor) {
  const std::vector<float> from = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<float> seen(128);
  Launch(CopyLate, {.threads = 32, .shared_bytes = 1024, .lanes = Lanes::kMeet}, from.data(),
         seen.data());
  for (size_t t = 0; t < 128; t += 4) {
    EXPECT_TRUE(std::isnan(seen[t]));
    EXPECT_EQ(seen[t + 1], 1);
    EXPECT_TRUE(std::isnan(seen[t + 2]));
    EXPECT_EQ(seen[t + 3], 5);
  }
}

void MeetWithoutSome(int absent) {
  if (Thread() != absent) __syncthreads();
}
void MeetForDifferentThings() {
  if (Thread() % 2 == 0) {
    __syncwarp();
  } else {
    __any_sync(kAllLanes, true);
  }
}

TEST(EmulationDeathTest, MeetingsThatCannotBeEndTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Launch(MeetWithoutSome, {.threads = 64, .lanes = Lanes::kMeet}, 5),
               "some threads of the block never come");
  EXPECT_DEATH(Launch(MeetForDifferentThings, {.threads = 32, .lanes = Lanes::kMeet}),
               "meet for different things");
  EXPECT_DEATH(Launch(MeetWithoutSome, {.threads = 64}, 5), "launched as one without");
  EXPECT_DEATH(Launch(MeetWithoutSome, {.threads = 33}, 5), "33 threads");
}

}  // namespace
}  // namespace torii::kernels::cuda
