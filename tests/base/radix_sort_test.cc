#include "base/radix_sort.h"

#include <algorithm>

#include "base/random.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(RadixSortTest, SortsByKeyAndKeepsTheOrderOfEqualKeys) {
  const RandomStream random(1, "radix sort");
  std::vector<uint64_t> scratch;
  for (const uint64_t max_key : {0ULL, 1ULL, 6ULL, 2047ULL, 2048ULL, 99'991ULL, 0xFFFFFFFFULL}) {
    for (const size_t n : {0, 1, 2, 7, 256, 4099}) {
      std::vector<uint64_t> entries;
      for (uint64_t i = 0; i < n; ++i) {
        const auto key = static_cast<uint64_t>(random.Below(i, static_cast<int64_t>(max_key) + 1));
        entries.push_back(key << 32 | i);
      }
      if (n > 1) entries[1] = max_key << 32 | 1;
      std::vector<uint64_t> want = entries;
      std::sort(want.begin(), want.end());  // by key, then by position
      SortByUpperHalf(entries, max_key, scratch);
      EXPECT_EQ(entries, want) << n << " entries, keys to " << max_key;
    }
  }
}

}  // namespace
}  // namespace torii
