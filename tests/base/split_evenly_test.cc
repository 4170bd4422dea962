#include "base/split_evenly.h"

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

}  // namespace
}  // namespace torii
