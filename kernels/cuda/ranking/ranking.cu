// Ranking by inner products: the entries of the table. The score of a pair has the same bits in every
// kernel, and those of the CPU where that fuses multiplications with additions too.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/ranking/pair_score.h"
#include "kernels/cuda/ranking/ranking_entries.h"
#include "kernels/cuda/ranking/score_bits.h"
#include "kernels/cuda/ranking/score_tiles.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// ---- Keys for the best items ----

struct KeyArgs {
  const float* packed_q;
  int64_t rows;
  ItemVectors items;
  ItemTile tile;
  HiddenItems hidden;
  int64_t* keys;
};

__device__ inline int64_t KeyOf(float score, int64_t item) {
  const uint32_t bits = BitsOf(score + 0.0F);  // -0 is 0
  // Signed order: the magnitude of negative numbers turned around.
  const uint32_t ordered = (bits >> 31) != 0 ? bits ^ 0x7FFFFFFFU : bits;
  return static_cast<int64_t>(static_cast<uint64_t>(ordered) << 32 |
                              (0xFFFFFFFFU - static_cast<uint32_t>(item)));
}

// A block has a tile of kTile items. The tile of keys begins with one of those.
__global__ void __launch_bounds__(kTileThreads, 2) KeysKernel(const KeyArgs args) {
  const int slices = SlicesOf(args.items.dim);
  const int64_t row_tile = static_cast<int64_t>(blockIdx.y);
  const int64_t first = args.tile.first / kTile + BlockX();
  ForEachTile({.q = args.packed_q + row_tile * slices * kSliceFloats,
               .items = args.items.packed,
               .slices = slices,
               .first = first,
               .end = first + 1},
              SharedMemory<float>(), [&](int64_t tile, const TileScores& scores) {
                TORII_UNROLL
                for (int r = 0; r < kSide; ++r) {
                  TORII_UNROLL
                  for (int c = 0; c < kSide; ++c) {
                    const int64_t row = row_tile * kTile + RowOf(r);
                    const int64_t item = tile * kTile + ColumnOf(c);
                    const int64_t column = item - args.tile.first;
                    if (row < args.rows && column < args.tile.size) {
                      args.keys[row * args.tile.size + column] = KeyOf(scores.at[r][c], item);
                    }
                  }
                }
              });
}

__global__ void HideKernel(const KeyArgs args) {
  constexpr int64_t kLowest = INT64_MIN;
  for (int64_t row = GlobalWarp(); row < args.rows; row += GridWarps()) {
    for (int64_t k = args.hidden.begin[row] + LaneOf(); k < args.hidden.begin[row + 1];
         k += kWarpLanes) {
      const int64_t column = args.hidden.items[k] - args.tile.first;
      if (column >= 0 && column < args.tile.size)
        args.keys[row * args.tile.size + column] = kLowest;
    }
  }
}

void ScoreKeys(const float* q, int64_t rows, const ItemVectors& items, const ItemTile& tile,
               const HiddenItems& hidden, int64_t* keys) {
  if (rows == 0 || tile.size == 0) return;
  const Scratch<float> packed_q(PackedFloats(rows, items.dim));
  PackQueries(q, rows, items.dim, packed_q.get());
  const KeyArgs args{packed_q.get(), rows, items, tile, hidden, keys};
  Launch(KeysKernel,
         {.blocks = TilesOf(tile.size),
          .blocks_y = TilesOf(rows),
          .threads = kTileThreads,
          .shared_bytes = kStageBytes,
          .lanes = Lanes::kMeet},
         args);
  Launch(HideKernel, {.blocks = BlocksFor(rows * kWarpLanes, kThreads), .threads = kThreads}, args);
}

// ---- Pairs, magnitudes ----

__global__ void PairsKernel(const float* q, const ItemVectors items, bool are_vectors,
                            const int64_t* q_row, const int64_t* item, int64_t pairs,
                            float* scores) {
  for (int64_t p = GlobalThread(); p < pairs; p += GridThreads()) {
    scores[p] = PairScore(q + q_row[p] * items.dim, items.vectors + item[p] * items.dim, items.dim,
                          are_vectors);
  }
}

void ScorePairs(const float* q, const ItemVectors& items, const int64_t* q_row, const int64_t* item,
                int64_t pairs, float* scores) {
  const bool are_vectors =
      AreVectors(q, items.dim, items.dim) && AreVectors(items.vectors, items.dim, items.dim);
  Launch(PairsKernel, {.blocks = BlocksFor(pairs, kThreads), .threads = kThreads}, q, items,
         are_vectors, q_row, item, pairs, scores);
}

// A warp has a row.
__global__ void MagnitudesKernel(const float* x, int64_t rows, int64_t dim, double* largest) {
  for (int64_t i = GlobalWarp(); i < rows; i += GridWarps()) {
    float most = 0;
    bool is_finite = true;
    for (int64_t d = LaneOf(); d < dim; d += kWarpLanes) {
      const float magnitude = fabsf(x[i * dim + d]);
      is_finite = is_finite && magnitude < HUGE_VALF;
      most = fmaxf(most, magnitude);
    }
    for (int step = kWarpLanes / 2; step > 0; step /= 2) {
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, step));
    }
    const bool any_is_not = __any_sync(kAllLanes, !is_finite);
    if (LaneOf() == 0) largest[i] = any_is_not ? HUGE_VAL : static_cast<double>(most);
  }
}

void LargestMagnitudes(const float* x, int64_t rows, int64_t dim, double* largest) {
  Launch(MagnitudesKernel,
         {.blocks = BlocksFor(rows * kWarpLanes, kThreads),
          .threads = kThreads,
          .lanes = Lanes::kMeet},
         x, rows, dim, largest);
}

}  // namespace

void AddRanking(DeviceKernels* table) {
  table->packed_floats = PackedFloats;
  table->pack_items = PackItems;
  table->score_pairs = ScorePairs;
  table->count_above = CountAbove;
  table->score_keys = ScoreKeys;
  table->largest_magnitudes = LargestMagnitudes;
}

}  // namespace torii::kernels::cuda
