// Ranks by counting: how many scores of a row are above its thresholds, in registers as the tiles of
// scores pass by. Counts are whole numbers: the order in which they are added does not show.
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/ranking/pair_score.h"
#include "kernels/cuda/ranking/ranking_entries.h"
#include "kernels/cuda/ranking/score_bits.h"
#include "kernels/cuda/ranking/score_tiles.h"

namespace torii::kernels::cuda {
namespace {

struct CountArgs {
  const float* packed_q;
  const float* q;
  int64_t rows;
  ItemVectors items;
  bool are_vectors;  // rows of q and items: whole vectors of four
  Thresholds thresholds;
  HiddenItems hidden;
  unsigned long long* counts;
};

// A row's first thresholds are counted in shared memory until the block ends, each in a number of the
// one thread that owns the row; further ones where all blocks count.
constexpr int kKept = 8;
constexpr size_t kKeptBytes = size_t{kKept} * kTileThreads * sizeof(int);

// The scores of each row equal to its owner's, in columns before its owner's. All lanes call it.
__device__ inline RowCounts CountTies(const TileScores& scores, float score_of_own,
                                      int before_of_own) {
  RowCounts counts;
  TORII_UNROLL
  for (int r = 0; r < kSide; ++r) {
    const float score = FromOwner(score_of_own, r);
    const int before = FromOwner(before_of_own, r);
    TORII_UNROLL
    for (int c = 0; c < kSide; ++c) {
      counts.Add(r, scores.at[r][c] == score && ColumnOf(c) < before);
    }
  }
  return counts;
}

// How many scores of the warp's columns are above a threshold of the lane's own row. All lanes call it.
__device__ inline int CountOne(const TileScores& scores, int64_t first_item, float threshold,
                               int64_t tie_before) {
  // Before the tile with the tie an equal score counts, from there on only a greater one does; in
  // that tile equal ones are added.
  const bool is_before = first_item + kTile <= tie_before;
  const bool has_tie = !is_before && first_item < tie_before;
  const int count = CountAtLeast(scores, is_before ? threshold : NextAbove(threshold)).SumOfOwn();
  if (!__any_sync(kAllLanes, has_tie)) return count;
  const int before = has_tie ? static_cast<int>(tie_before - first_item) : 0;
  return count + CountTies(scores, threshold, before).SumOfOwn();
}

struct OwnThresholds {
  int64_t begin, end;
};
__device__ inline OwnThresholds ThresholdsOf(const CountArgs& args, int64_t row) {
  if (row >= args.rows) return {0, 0};
  return {args.thresholds.begin[row], args.thresholds.begin[row + 1]};
}

__device__ inline void CountTile(const CountArgs& args, int64_t row, int64_t first_item,
                                 const TileScores& scores, int* kept) {
  const OwnThresholds own = ThresholdsOf(args, row);
  for (int round = 0; __any_sync(kAllLanes, own.begin + round < own.end); ++round) {
    const int64_t t = own.begin + round;
    const bool exists = t < own.end;
    const int count = CountOne(scores, first_item, exists ? args.thresholds.score[t] : NotANumber(),
                               exists ? args.thresholds.tie_before[t] : 0);
    if (round < kKept) {
      kept[round * kTileThreads + Thread()] += count;
    } else if (count > 0) {
      atomicAdd(args.counts + t, static_cast<unsigned long long>(count));
    }
  }
}

// blockIdx.x: the tile of queries. blockIdx.y: the share of the items.
__global__ void __launch_bounds__(kTileThreads, 2)
    CountKernel(const CountArgs args, int64_t tiles, int64_t shares) {
  float* const stages = SharedMemory<float>();
  int* const kept = reinterpret_cast<int*>(stages + kStageBytes / sizeof(float));
  for (int i = 0; i < kKept; ++i) kept[i * kTileThreads + Thread()] = 0;
  const auto share = static_cast<int64_t>(blockIdx.y);
  const int slices = SlicesOf(args.items.dim);
  const int64_t row = BlockX() * kTile + OwnRow();
  ForEachTile({.q = args.packed_q + BlockX() * slices * kSliceFloats,
               .items = args.items.packed,
               .slices = slices,
               .first = tiles * share / shares,
               .end = tiles * (share + 1) / shares},
              stages, [&](int64_t tile, const TileScores& scores) {
                CountTile(args, row, tile * kTile, scores, kept);
              });
  const OwnThresholds own = ThresholdsOf(args, row);
  for (int i = 0; i < kKept && own.begin + i < own.end; ++i) {
    const int count = kept[i * kTileThreads + Thread()];
    if (count > 0) atomicAdd(args.counts + own.begin + i, static_cast<unsigned long long>(count));
  }
}

__device__ inline bool IsAbove(float score, int64_t item, const Thresholds& thresholds, int64_t t) {
  return score > thresholds.score[t] ||
         (score == thresholds.score[t] && item < thresholds.tie_before[t]);
}

// Hidden items are counted like all others and taken away one by one. A warp has a row.
__global__ void TakeHiddenKernel(const CountArgs args) {
  const int64_t dim = args.items.dim;
  for (int64_t row = GlobalWarp(); row < args.rows; row += GridWarps()) {
    const int64_t begin = args.thresholds.begin[row], end = args.thresholds.begin[row + 1];
    if (begin == end) continue;
    for (int64_t k = args.hidden.begin[row] + LaneOf(); k < args.hidden.begin[row + 1];
         k += kWarpLanes) {
      const int64_t item = args.hidden.items[k];
      const float score =
          PairScore(args.q + row * dim, args.items.vectors + item * dim, dim, args.are_vectors);
      for (int64_t t = begin; t < end; ++t) {
        if (IsAbove(score, item, args.thresholds, t)) atomicAdd(args.counts + t, ~0ULL);  // - 1
      }
    }
  }
}

// Blocks of the same length, so many that no multiprocessor waits long for the last ones, each with
// a few tiles at least.
int64_t SharesOf(int64_t row_tiles, int64_t tiles) {
  constexpr int64_t kBlocksWanted = 1 << 14, kFewestTiles = 4;
  const int64_t wanted = (kBlocksWanted + row_tiles - 1) / row_tiles;
  const int64_t most = (tiles + kFewestTiles - 1) / kFewestTiles;
  return wanted < most ? wanted : most;
}

}  // namespace

void CountAbove(const float* q, int64_t rows, const ItemVectors& items,
                const Thresholds& thresholds, const HiddenItems& hidden, int64_t* counts) {
  if (rows == 0 || items.n == 0) return;
  const Scratch<float> packed_q(PackedFloats(rows, items.dim));
  PackQueries(q, rows, items.dim, packed_q.get());
  const bool are_vectors =
      AreVectors(q, items.dim, items.dim) && AreVectors(items.vectors, items.dim, items.dim);
  const CountArgs args{
      packed_q.get(), q,          rows,   items,
      are_vectors,    thresholds, hidden, reinterpret_cast<unsigned long long*>(counts)};
  const int64_t row_tiles = TilesOf(rows), tiles = TilesOf(items.n);
  const int64_t shares = SharesOf(row_tiles, tiles);
  Launch(CountKernel,
         {.blocks = row_tiles,
          .blocks_y = shares,
          .threads = kTileThreads,
          .shared_bytes = kStageBytes + kKeptBytes,
          .lanes = Lanes::kMeet},
         args, tiles, shares);
  constexpr int kThreads = 256;
  Launch(TakeHiddenKernel, {.blocks = BlocksFor(rows * kWarpLanes, kThreads), .threads = kThreads},
         args);
}

}  // namespace torii::kernels::cuda
