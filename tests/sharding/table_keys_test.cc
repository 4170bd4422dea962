#include "sharding/table_keys.h"

#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace torii::sharding {
namespace {

constexpr Partition::Kind kKinds[] = {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks,
                                      Partition::Kind::kReplicated};

// Tables smaller than the world, of one row, and of a prime number of rows.
std::vector<TableKeys::Table> Tables() {
  return {{"small", 2}, {"item", 101}, {"one", 1}, {"user", 53}};
}

TEST(TableKeysTest, AKeySaysOwnerAndSlot) {
  for (const Partition::Kind kind : kKinds) {
    for (const int world_size : {1, 2, 3, 7}) {
      const TableKeys keys(Tables(), kind, world_size);
      const int owners = kind == Partition::Kind::kReplicated ? 1 : world_size;
      ASSERT_EQ(keys.owners(), owners);
      std::set<int64_t> seen;
      for (int table = 0; table < 4; ++table) {
        const Partition& partition = keys.partition(table);
        for (int64_t row = 0; row < Tables()[static_cast<size_t>(table)].rows; ++row) {
          const int64_t key = keys.Key(table, row);
          EXPECT_TRUE(seen.insert(key).second) << "two rows have key " << key;
          EXPECT_EQ(OwnerOfKey(key, owners), partition.Owner(row));
          EXPECT_EQ(SlotOfKey(key, owners), keys.first_slot(table) + partition.Slot(row));
          EXPECT_LT(SlotOfKey(key, owners), keys.first_slot(table + 1));
        }
      }
      EXPECT_EQ(keys.first_slot(4), keys.slots());
      keys.CheckKeys(std::vector<int64_t>(seen.begin(), seen.end()));
    }
  }
}

TEST(TableKeysTest, FillGivesTheKeysOfManyRows) {
  for (const Partition::Kind kind : kKinds) {
    const TableKeys keys(Tables(), kind, 3);
    const std::vector<int64_t> rows = {100, 0, 0, 57};
    std::vector<int64_t> filled(rows.size());
    keys.Fill(1, rows, filled);
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(filled[i], keys.Key(1, rows[i]));
    keys.Fill(1, {}, {});
  }
}

TEST(TableKeysDeathTest, KeyRefusesRowsOutsideTheTable) {
  const TableKeys keys(Tables(), Partition::Kind::kRowModWorld, 1);
  EXPECT_DEATH((void)keys.Key(1, 101), "row 101 of table 'item', which has 101");
  EXPECT_DEATH((void)keys.Key(1, -1), "row -1");
  EXPECT_DEATH((void)keys.Key(4, 0), "table 4 of 4");
}

// On two ranks table "a" has a slot on rank 1 that holds no row.
TEST(TableKeysDeathTest, RefusesTheGapBehindATable) {
  for (const Partition::Kind kind : {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks}) {
    const TableKeys keys({{"a", 3}, {"b", 2}}, kind, 2);
    EXPECT_DEATH(keys.CheckKeys(std::vector<int64_t>{3}),
                 "key 3 is slot 1 of table 'a' on rank 1, which holds 1");
    EXPECT_DEATH(keys.CheckKeys(std::vector<int64_t>{-1}), "of a key space of 6");
    EXPECT_DEATH(keys.CheckKeys(std::vector<int64_t>{6}), "of a key space of 6");
  }
  const TableKeys blocks({{"a", 3}}, Partition::Kind::kBlocks, 2);
  int64_t key = 0;
  const int64_t row = 3;
  EXPECT_DEATH(blocks.Fill(0, {&row, 1}, {&key, 1}), "row 3 of table 'a', which has 3");
}

}  // namespace
}  // namespace torii::sharding
