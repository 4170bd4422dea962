#include "base/split_evenly.h"

#include <vector>

#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(SplitEvenlyTest, PartsFollowEachOtherAndDifferByAtMostOne) {
  for (const int64_t n : {0, 1, 3, 7, 8, 1000}) {
    for (const int parts : {1, 2, 3, 7, 16}) {
      int64_t next = 0;
      for (int part = 0; part < parts; ++part) {
        const Range range = SplitEvenly(n, parts, part);
        EXPECT_EQ(range.begin, next);
        EXPECT_GE(range.size(), n / parts);
        EXPECT_LE(range.size(), (n + parts - 1) / parts);
        next = range.end;
      }
      EXPECT_EQ(next, n);
    }
  }
}

TEST(RowOwnerTest, SlotsOfARankAreDenseAndCounted) {
  for (const int64_t rows : {0, 1, 3, 17, 64}) {
    for (const int world_size : {1, 2, 3, 5}) {
      std::vector<int64_t> owned(static_cast<size_t>(world_size));
      for (int64_t row = 0; row < rows; ++row) {
        int64_t& next = owned[static_cast<size_t>(RowOwner(row, world_size))];
        EXPECT_EQ(RowSlot(row, world_size), next++);
      }
      for (int rank = 0; rank < world_size; ++rank) {
        EXPECT_EQ(OwnedRows(rows, rank, world_size), owned[static_cast<size_t>(rank)]);
      }
    }
  }
}

}  // namespace
}  // namespace torii
