#include "kernels/cuda/ranking/best_items.h"
#include "kernels/cuda/ranking/score_tiles.h"

namespace torii::kernels::cuda {
namespace {

struct FindArgs {
  const float* packed_q;
  ItemVectors items;
  int64_t first, end;  // tiles
  int64_t shares;
  BestRows rows;
};

// Appends the scores of a tile that are at least what the owners of their rows say. A warp takes
// places for all that it has of a row at once; its lanes fill them in their order.
__device__ inline void AppendTile(const BestRows& rows, int64_t first_row, float least_of_own,
                                  int64_t first_item, const TileScores& scores) {
  const RowCounts counts = CountAtLeast(scores, least_of_own);
  if (!__any_sync(kAllLanes, counts.AreAny())) return;
  const RowCounts before = counts.SumBefore();
  const int own = counts.SumOfOwn();
  const int place_of_own = own > 0 ? atomicAdd(rows.num_found + first_row + OwnRow(), own) : 0;
  TORII_UNROLL
  for (int r = 0; r < kSide; ++r) {
    const float least = FromOwner(least_of_own, r);
    const int place = FromOwner(place_of_own, r) + before.Of(r);
    if (counts.Of(r) == 0) continue;
    Key* next = rows.found + (first_row + RowOf(r)) * rows.capacity + place;
    TORII_UNROLL
    for (int c = 0; c < kSide; ++c) {
      const float score = scores.at[r][c];
      if (score >= least) *next++ = KeyOf(score, first_item + ColumnOf(c));
    }
  }
}

// blockIdx.x: the tile of queries. blockIdx.y: the share of the tiles of items.
__global__ void __launch_bounds__(kTileThreads, 2) FindKernel(const FindArgs args) {
  const int slices = SlicesOf(args.items.dim);
  const int64_t first_row = BlockX() * kTile, row = first_row + OwnRow();
  const float least = row < args.rows.rows ? args.rows.least[row] : NotANumber();
  const int64_t tiles = args.end - args.first, share = static_cast<int64_t>(blockIdx.y);
  ForEachTile({.q = args.packed_q + BlockX() * slices * kSliceFloats,
               .items = args.items.packed,
               .slices = slices,
               .first = args.first + tiles * share / args.shares,
               .end = args.first + tiles * (share + 1) / args.shares},
              SharedMemory<float>(), [&](int64_t tile, const TileScores& scores) {
                AppendTile(args.rows, first_row, least, tile * kTile, scores);
              });
}

}  // namespace

void FindAbove(const float* packed_q, const ItemVectors& items, int64_t first, int64_t end,
               const BestRows& rows) {
  // A few blocks of the same length for each multiprocessor, and be it a tile.
  constexpr int64_t kBlocksWanted = 1024;
  const int64_t row_tiles = TilesOf(rows.rows), tiles = end - first;
  const int64_t all = row_tiles * tiles;
  const int64_t of_a_block = all < 2 * kBlocksWanted ? 1 : all / kBlocksWanted;
  const int64_t shares = (tiles + of_a_block - 1) / of_a_block;
  Launch(FindKernel,
         {.blocks = row_tiles,
          .blocks_y = shares,
          .threads = kTileThreads,
          .shared_bytes = kStageBytes,
          .lanes = Lanes::kMeet},
         FindArgs{packed_q, items, first, end, shares, rows});
}

}  // namespace torii::kernels::cuda
