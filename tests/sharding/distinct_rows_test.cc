#include "sharding/distinct_rows.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace torii::sharding {
namespace {

std::vector<int64_t> RandomKeys(int64_t count, int64_t bound, uint64_t seed) {
  const RandomStream stream(seed, "keys");
  std::vector<int64_t> keys;
  for (int64_t i = 0; i < count; ++i) {
    keys.push_back(stream.Below(static_cast<uint64_t>(i), bound));
  }
  return keys;
}

// What the header promises, checked one by one.
void ExpectGrouped(const std::vector<int64_t>& asked, int world_size, const DistinctKeys& found) {
  ASSERT_EQ(found.index.size(), asked.size());
  for (size_t i = 0; i < asked.size(); ++i) {
    ASSERT_EQ(found.keys[static_cast<size_t>(found.index[i])], asked[i]) << "asked key " << i;
  }
  EXPECT_EQ(std::set<int64_t>(asked.begin(), asked.end()).size(), found.keys.size());

  ASSERT_EQ(found.per_owner.size(), static_cast<size_t>(world_size));
  std::vector<int64_t> counts(found.per_owner.size(), 0);
  for (const int64_t key : found.keys) ++counts[static_cast<size_t>(key % world_size)];
  EXPECT_EQ(counts, found.per_owner);

  const auto first_use = [&](int64_t key) { return std::find(asked.begin(), asked.end(), key); };
  for (size_t k = 1; k < found.keys.size(); ++k) {
    const int64_t before = found.keys[k - 1], after = found.keys[k];
    const int64_t owner_before = before % world_size, owner_after = after % world_size;
    EXPECT_TRUE(owner_before < owner_after ||
                (owner_before == owner_after && first_use(before) < first_use(after)))
        << before << " stands before " << after;
  }
}

TEST(FindDistinctTest, GroupsByOwnerInOrderOfFirstUse) {
  for (const int world_size : {1, 2, 3, 7}) {
    for (const int64_t count : {0, 1, 2, 17, 400}) {
      for (const int64_t bound : {1, 5, 1000}) {
        const std::vector<int64_t> keys = RandomKeys(count, bound, 3);
        SCOPED_TRACE(testing::Message() << "W " << world_size << " n " << count << " of " << bound);
        ExpectGrouped(keys, world_size, FindDistinct(keys, world_size));
      }
    }
  }
}

TEST(FindDistinctTest, HoldsHugeKeysAndKeysThatCollide) {
  const int64_t huge = int64_t{1} << 62;
  std::vector<int64_t> keys = {huge, 0, huge, huge + 1, 0};
  for (int64_t i = 0; i < 100; ++i) keys.push_back(i << 40);
  ExpectGrouped(keys, 3, FindDistinct(keys, 3));
}

TEST(DistinctFinderTest, ForgetsTheFormerCall) {
  DistinctFinder finder;
  for (const int64_t count : {300, 3, 0, 50}) {
    const std::vector<int64_t> keys = RandomKeys(count, 100, static_cast<uint64_t>(count));
    std::vector<int64_t> index(keys.size());

    finder.Find(keys, 2, index);

    ExpectGrouped(keys, 2, {finder.keys(), finder.per_owner(), index});
  }
}

}  // namespace
}  // namespace torii::sharding
