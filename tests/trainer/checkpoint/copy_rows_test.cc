#include "trainer/checkpoint/copy_rows.h"

#include <ATen/ATen.h>

#include <vector>

#include "gtest/gtest.h"

namespace torii::trainer {
namespace {

constexpr Partition::Kind kKinds[] = {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks,
                                      Partition::Kind::kReplicated};

// What a rank holds of a table whose row r is [10 r, 10 r + 1].
at::Tensor Held(const Partition& partition, int rank) {
  at::Tensor held = at::empty({partition.OwnedRows(rank), 2}, at::kLong);
  for (int64_t slot = 0; slot < held.size(0); ++slot) {
    held[slot][0] = 10 * partition.Row(rank, slot);
    held[slot][1] = 10 * partition.Row(rank, slot) + 1;
  }
  return held;
}

TEST(CopyRowsTest, TheFilesOfAnyPartitionFillAnyOther) {
  for (const int64_t rows : {0, 1, 3, 13}) {
    for (const Partition::Kind from_kind : kKinds) {
      for (const Partition::Kind to_kind : kKinds) {
        for (const int from_world : {1, 2, 3, 5}) {
          for (const int world : {1, 2, 4}) {
            const Partition of_from(from_kind, rows, from_world), of_to(to_kind, rows, world);
            for (int rank = 0; rank < world; ++rank) {
              at::Tensor to = at::full({of_to.OwnedRows(rank), 2}, -1, at::kLong);
              for (int r = 0; r < (of_from.is_replicated() ? 1 : from_world); ++r) {
                CopyRows(Held(of_from, r), of_from, r, to, of_to, rank);
              }
              EXPECT_TRUE(at::equal(to, Held(of_to, rank)))
                  << rows << " rows, " << NameOf(from_kind) << " of " << from_world << " -> "
                  << NameOf(to_kind) << " of " << world << ", rank " << rank;
            }
          }
        }
      }
    }
  }
}

TEST(CopyRowsTest, WritesIntoRowsThatDoNotLieOneBehindTheOther) {
  const Partition one = Partition::RowModWorld(3, 1);
  at::Tensor wide = at::zeros({3, 4}, at::kLong), to = wide.narrow(1, 1, 2);
  CopyRows(Held(one, 0), one, 0, to, one, 0);
  EXPECT_TRUE(at::equal(wide.narrow(1, 1, 2), Held(one, 0)));
  EXPECT_EQ(wide.select(1, 0).sum().item<int64_t>() + wide.select(1, 3).sum().item<int64_t>(), 0);
}

TEST(CopyRowsDeathTest, RefusesOtherSizes) {
  const Partition three = Partition::RowModWorld(3, 1), four = Partition::RowModWorld(4, 1);
  at::Tensor to = at::zeros({4, 2}, at::kLong);
  EXPECT_DEATH(CopyRows(Held(three, 0), three, 0, to, four, 0), "3 rows into 4");
  EXPECT_DEATH(CopyRows(Held(three, 0), four, 0, to, four, 0), "tensors of 3 and 4 rows");
}

}  // namespace
}  // namespace torii::trainer
