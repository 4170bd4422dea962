#include "sharding/plan.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace torii::sharding {
namespace {

using Kind = Partition::Kind;

TableNeed Need(const std::string& name, int64_t rows, int64_t width, int64_t lookups,
               bool grows = false) {
  return {
      .name = name, .rows = rows, .width = width, .config = {}, .lookups = lookups, .grows = grows};
}

std::vector<Kind> KindsOf(const std::vector<TableNeed>& needs, int world_size) {
  std::vector<Kind> kinds;
  for (const PlacedTable& table : PlanTables(needs, world_size)) kinds.push_back(table.kind);
  return kinds;
}

TEST(PlanTablesTest, AutoIsRowModWorldBesideTablesOfIds) {
  const std::vector<TableNeed> needs = {Need("item_id", 100, 16, 8, true),
                                        Need("user_id", 100, 16, 8, true),
                                        Need("user.city", 5, 16, 8)};
  for (const int world_size : {1, 2, 8}) {
    EXPECT_EQ(KindsOf(needs, world_size), std::vector<Kind>(3, Kind::kRowModWorld)) << world_size;
  }
}

TEST(PlanTablesTest, AutoReplicatesSmallTablesThatHaveAWidthOfTheirOwn) {
  const std::vector<TableNeed> needs = {Need("item_id", 1'000'000, 64, 4096, true),
                                        Need("user.city", 300, 8, 4096),
                                        Need("user.device", 9, 8, 4096)};
  EXPECT_EQ(KindsOf(needs, 1), std::vector<Kind>(3, Kind::kRowModWorld));
  for (const int world_size : {2, 4}) {
    EXPECT_EQ(KindsOf(needs, world_size),
              (std::vector<Kind>{Kind::kRowModWorld, Kind::kReplicated, Kind::kReplicated}));
  }
  // The gradients of many touched rows of many ranks cost more than the exchange they save.
  EXPECT_EQ(KindsOf(needs, 64), std::vector<Kind>(3, Kind::kRowModWorld));
}

TEST(PlanTablesTest, AutoReplicatesNothingLarge) {
  EXPECT_EQ(KindsOf({Need("user.word", 1'000'000, 32, 16)}, 2),
            std::vector<Kind>{Kind::kRowModWorld});
  EXPECT_EQ(KindsOf({Need("user.word", 1'000, 32, 16)}, 2), std::vector<Kind>{Kind::kReplicated});
}

TEST(PlanTablesTest, ANamedPlacementIsTaken) {
  std::vector<TableNeed> needs = {Need("item_id", 7, 4, 8, true), Need("user_id", 8, 4, 8, true),
                                  Need("user.city", 3, 4, 8), Need("user.age", 3, 4, 8)};
  needs[0].config.set_placement(TableConfig::REPLICATED);
  needs[1].config.set_placement(TableConfig::BLOCKS);
  needs[2].config.set_placement(TableConfig::ROW_MOD_WORLD);
  // The exchange of the sharded tables is needed anyway: user.age joins it.
  EXPECT_EQ(KindsOf(needs, 3), (std::vector<Kind>{Kind::kReplicated, Kind::kBlocks,
                                                  Kind::kRowModWorld, Kind::kRowModWorld}));
}

TEST(PlanTablesTest, BytesAreThoseOfTheRankThatHoldsMost) {
  std::vector<TableNeed> needs(4, Need("t", 7, 5, 8, true));
  needs[1].config.set_optimizer(TableConfig::ADAM);
  needs[2].config.set_optimizer(TableConfig::ADAGRAD);
  needs[3].config.set_optimizer(TableConfig::SGD);
  needs[3].config.set_placement(TableConfig::REPLICATED);
  const std::vector<PlacedTable> plan = PlanTables(needs, 3);
  EXPECT_EQ(plan[0].bytes, 3 * (5 + 1) * 4);
  EXPECT_EQ(plan[1].bytes, 3 * 3 * 5 * 4);
  EXPECT_EQ(plan[2].bytes, 3 * 2 * 5 * 4);
  EXPECT_EQ(plan[3].bytes, 7 * 5 * 4);
  EXPECT_TRUE(PlanTables({}, 3).empty());
}

TEST(DescribePlanTest, PrintsATable) {
  const std::vector<TableNeed> needs = {Need("item_id", 1000, 16, 8, true),
                                        Need("user.city", 5, 8, 8)};
  EXPECT_EQ(DescribePlan(needs, PlanTables(needs, 2)),
            (std::vector<std::string>{
                "table             rows  width  placement      optimizer         bytes per rank",
                "item_id           1000     16  row mod world  rowwise_adagrad            34000",
                "user.city            5      8  replicated     rowwise_adagrad              180"}));
}

}  // namespace
}  // namespace torii::sharding
