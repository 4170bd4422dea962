#include "kernels/cuda/runs.h"

#include <vector>

#include "gtest/gtest.h"

namespace torii::kernels::cuda {
namespace {

// Every chunk of a run but its last has the slot of its first place, and no slot has two.
TEST(RunsTest, EveryChunkButTheLastOfARunHasASlotOfItsOwn) {
  for (const int64_t start : {0, 1, 63, 64, 100}) {
    std::vector<int64_t> begin = {start};
    for (const int64_t length : {1, 64, 65, 0, 127, 128, 129, 3, 1000, 64, 65, 66, 0}) {
      begin.push_back(begin.back() + length);
    }
    const int64_t slots = ChunkSlots(begin.back());
    std::vector<int64_t> expected(static_cast<size_t>(slots), -1);
    for (size_t run = 0; run + 1 < begin.size(); ++run) {
      for (int64_t place = begin[run]; place + kChunk < begin[run + 1]; place += kChunk) {
        int64_t& chunk =
            expected[static_cast<size_t>(begin[run] / kChunk + (place - begin[run]) / kChunk)];
        EXPECT_EQ(chunk, -1);
        chunk = place;
      }
    }
    for (int64_t slot = 0; slot < slots; ++slot) {
      EXPECT_EQ(ChunkOfSlot(begin.data(), std::ssize(begin) - 1, slot),
                expected[static_cast<size_t>(slot)])
          << "slot " << slot;
    }
  }
}

}  // namespace
}  // namespace torii::kernels::cuda
