#include "base/partition.h"

#include <vector>

#include "gtest/gtest.h"

namespace torii {
namespace {

constexpr int64_t kRows[] = {0, 1, 2, 3, 5, 7, 12, 17, 64, 101};
constexpr int kWorlds[] = {1, 2, 3, 4, 5, 13};
constexpr Partition::Kind kKinds[] = {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks,
                                      Partition::Kind::kReplicated};

// Calls `check` for each kind, number of rows and world, worlds larger than the table among them.
template <class Check>
void ForEach(const Check& check) {
  for (const Partition::Kind kind : kKinds) {
    for (const int64_t rows : kRows) {
      for (const int world_size : kWorlds) {
        SCOPED_TRACE(testing::Message()
                     << NameOf(kind) << ", " << rows << " rows, W " << world_size);
        check(Partition(kind, rows, world_size));
      }
    }
  }
}

TEST(PartitionTest, SlotsOfARankAreDenseAndKeepTheOrderOfItsRows) {
  ForEach([](const Partition& p) {
    int64_t held = 0;
    for (int rank = 0; rank < p.world_size(); ++rank) {
      int64_t slot = 0;
      for (int64_t row = 0; row < p.rows(); ++row) {
        EXPECT_EQ(p.OwnedBefore(rank, row), slot) << "rank " << rank << ", row " << row;
        if (!p.Holds(rank, row)) continue;
        EXPECT_EQ(p.Slot(row), slot) << "row " << row;
        EXPECT_EQ(p.Row(rank, slot), row);
        ++slot;
      }
      EXPECT_EQ(p.OwnedRows(rank), slot) << "rank " << rank;
      EXPECT_EQ(p.OwnedBefore(rank, p.rows()), slot) << "rank " << rank;
      EXPECT_LE(slot, p.MostOwnedRows());
      held += slot;
    }
    EXPECT_EQ(held, p.is_replicated() ? p.rows() * p.world_size() : p.rows());
  });
}

TEST(PartitionTest, TheOwnerHoldsTheRow) {
  ForEach([](const Partition& p) {
    for (int64_t row = 0; row < p.rows(); ++row) {
      ASSERT_GE(p.Owner(row), 0);
      ASSERT_LT(p.Owner(row), p.world_size());
      for (int rank = 0; rank < p.world_size(); ++rank) {
        EXPECT_EQ(p.Holds(rank, row), p.is_replicated() || rank == p.Owner(row));
      }
    }
  });
}

TEST(PartitionTest, WhereTheRowsLie) {
  const auto rows_of = [](const Partition& p, int rank) {
    std::vector<int64_t> rows;
    for (int64_t slot = 0; slot < p.OwnedRows(rank); ++slot) rows.push_back(p.Row(rank, slot));
    return rows;
  };
  const Partition mod = Partition::RowModWorld(7, 3);
  EXPECT_EQ(rows_of(mod, 0), (std::vector<int64_t>{0, 3, 6}));
  EXPECT_EQ(rows_of(mod, 1), (std::vector<int64_t>{1, 4}));
  const Partition blocks = Partition::Blocks(7, 3);
  EXPECT_EQ(rows_of(blocks, 0), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(rows_of(blocks, 2), (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(rows_of(Partition::Replicated(2, 3), 2), (std::vector<int64_t>{0, 1}));
}

TEST(PartitionTest, HoldsMoreRowsThanFitInto32Bits) {
  for (const Partition::Kind kind : {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks}) {
    const Partition p(kind, (int64_t{1} << 40) + 3, 7);
    for (const int64_t row : {int64_t{0}, (int64_t{1} << 33) + 5, p.rows() - 1}) {
      EXPECT_EQ(p.Row(p.Owner(row), p.Slot(row)), row) << NameOf(kind);
    }
  }
}

TEST(PartitionTest, EqualWhenEverythingIs) {
  EXPECT_EQ(Partition::Blocks(5, 2), Partition::Blocks(5, 2));
  EXPECT_NE(Partition::Blocks(5, 2), Partition::Blocks(5, 3));
  EXPECT_NE(Partition::Blocks(5, 2), Partition::Blocks(6, 2));
  EXPECT_NE(Partition::Blocks(5, 2), Partition::RowModWorld(5, 2));
}

TEST(PartitionTest, KindsAreFoundByTheirNames) {
  for (const Partition::Kind kind : kKinds) EXPECT_EQ(PartitionKindOf(NameOf(kind)), kind);
  EXPECT_EQ(PartitionKindOf("rows"), std::nullopt);
  EXPECT_EQ(PartitionKindOf(""), std::nullopt);
}

}  // namespace
}  // namespace torii
