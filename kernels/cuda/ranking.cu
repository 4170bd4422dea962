// Ranking by inner products. The score of a pair is one fused multiply-add for each dimension in
// order, wherever it is computed, so that it has the same bits in every kernel; and those of the
// CPU, where that fuses them too.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// A block has a tile of kTile queries against kTile items. Its 16 x 16 threads have 8 x 8 scores
// each: rows and items 4 * t .. 4 * t + 3 of the first half, and of the second.
constexpr int kTile = 128, kSide = 16, kScores = 8;
constexpr int kDepth = 16;  // dimensions that are in shared memory at a time

__device__ inline float Score(const float* q, const float* v, int64_t dim) {
  float sum = 0;
  for (int64_t d = 0; d < dim; ++d) sum = fmaf(q[d], v[d], sum);
  return sum;
}

// The place in a tile of score i of thread t of a side.
__device__ inline int PlaceOf(int t, int i) { return t * 4 + i % 4 + i / 4 * (kTile / 2); }

// [kDepth][kTile] of both: a row of four places of padding keeps the writes off one another's banks.
constexpr int kTileStride = kTile + 4;
struct Panels {
  float* q;
  float* v;
};
constexpr size_t kPanelBytes = size_t{2} * kDepth * kTileStride * sizeof(float);
__device__ inline Panels PanelsIn(float* shared) { return {shared, shared + kDepth * kTileStride}; }

// Dimensions [d, d + kDepth) of the rows from `first` on; 0 where there are none.
__device__ inline void LoadPanel(const float* x, int64_t first, int64_t end, int64_t d, int64_t dim,
                                 float* panel) {
  for (int i = Thread(); i < kTile * kDepth; i += kThreads) {
    const int row = i % kTile, k = i / kTile;
    const bool exists = first + row < end && d + k < dim;
    panel[k * kTileStride + row] = exists ? x[(first + row) * dim + d + k] : 0.0F;
  }
}

struct TileScores {
  float at[kScores][kScores];  // [row][item]
};

// The scores of queries from first_query on and items from first_item on. All threads of the block
// call it.
__device__ inline void ComputeScores(const float* q, int64_t rows, int64_t first_query,
                                     const ItemVectors& items, int64_t first_item,
                                     const Panels& panels, TileScores* scores) {
  const int ty = Thread() / kSide, tx = Thread() % kSide;
  TORII_UNROLL
  for (int r = 0; r < kScores; ++r) {
    TORII_UNROLL
    for (int c = 0; c < kScores; ++c) scores->at[r][c] = 0;
  }
  for (int64_t d = 0; d < items.dim; d += kDepth) {
    __syncthreads();  // the panels before have been read
    LoadPanel(q, first_query, rows, d, items.dim, panels.q);
    LoadPanel(items.vectors, first_item, items.n, d, items.dim, panels.v);
    __syncthreads();
    const int depth = static_cast<int>(items.dim - d < kDepth ? items.dim - d : kDepth);
    for (int k = 0; k < depth; ++k) {
      float a[kScores], b[kScores];
      TORII_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int place = k * kTileStride + half * (kTile / 2);
        const Floats<4> of_q = Load<4>(panels.q + place + ty * 4);
        const Floats<4> of_v = Load<4>(panels.v + place + tx * 4);
        TORII_UNROLL
        for (int i = 0; i < 4; ++i) a[half * 4 + i] = of_q.at[i], b[half * 4 + i] = of_v.at[i];
      }
      TORII_UNROLL
      for (int r = 0; r < kScores; ++r) {
        TORII_UNROLL
        for (int c = 0; c < kScores; ++c) scores->at[r][c] = fmaf(a[r], b[c], scores->at[r][c]);
      }
    }
  }
}

// ---- Counting ----

// Thresholds of a row that are counted in one pass over the items.
constexpr int kRounds = 16;
constexpr size_t kCounterBytes = size_t{kRounds} * kTile * sizeof(int);

__device__ inline bool IsAbove(float score, int64_t item, const Thresholds& thresholds, int64_t t) {
  return score > thresholds.score[t] ||
         (score == thresholds.score[t] && item < thresholds.tie_before[t]);
}

struct CountArgs {
  const float* q;
  int64_t rows;
  ItemVectors items;
  Thresholds thresholds;
  HiddenItems hidden;
  unsigned long long* counts;
};

// Adds to counters[round][row of the tile] what the scores of an item tile are above. The 16 threads
// of a row add up what they found, and the first one keeps it.
__device__ inline void CountTile(const CountArgs& args, int64_t first_query, int64_t first_item,
                                 int first_round, const TileScores& scores, int* counters) {
  const int ty = Thread() / kSide, tx = Thread() % kSide;
  for (int r = 0; r < kScores; ++r) {
    const int place = PlaceOf(ty, r);
    const int64_t row = first_query + place;
    const int64_t begin = row < args.rows ? args.thresholds.begin[row] + first_round : 0;
    const int64_t end = row < args.rows ? args.thresholds.begin[row + 1] : 0;
    for (int round = 0; round < kRounds; ++round) {
      // Rows of both halves of the warp: as long as one of them has such a threshold.
      if (!__any_sync(kAllLanes, begin + round < end)) break;
      int count = 0;
      for (int c = 0; c < kScores && begin + round < end; ++c) {
        const int64_t item = first_item + PlaceOf(tx, c);
        const bool counts =
            item < args.items.n && IsAbove(scores.at[r][c], item, args.thresholds, begin + round);
        count += counts ? 1 : 0;
      }
      for (int step = kSide / 2; step > 0; step /= 2) {
        count += __shfl_xor_sync(kAllLanes, count, step);
      }
      if (tx == 0) counters[round * kTile + place] += count;
    }
  }
}

// blockIdx.y: the share of the items.
__global__ void __launch_bounds__(kThreads) CountKernel(const CountArgs args, int64_t shares) {
  float* const shared = SharedMemory<float>();
  const Panels panels = PanelsIn(shared);
  int* const counters = reinterpret_cast<int*>(shared + kPanelBytes / sizeof(float));
  const int64_t first_query = BlockX() * kTile;
  const int64_t tiles = (args.items.n + kTile - 1) / kTile;
  const auto share = static_cast<int64_t>(blockIdx.y);
  int64_t most = 0;  // thresholds of a row of the tile
  for (int64_t row = first_query; row < first_query + kTile && row < args.rows; ++row) {
    const int64_t n = args.thresholds.begin[row + 1] - args.thresholds.begin[row];
    most = n > most ? n : most;
  }
  for (int first_round = 0; first_round < most; first_round += kRounds) {
    for (int i = Thread(); i < kRounds * kTile; i += kThreads) counters[i] = 0;
    __syncthreads();
    for (int64_t tile = tiles * share / shares; tile < tiles * (share + 1) / shares; ++tile) {
      TileScores scores;
      ComputeScores(args.q, args.rows, first_query, args.items, tile * kTile, panels, &scores);
      CountTile(args, first_query, tile * kTile, first_round, scores, counters);
    }
    __syncthreads();
    for (int i = Thread(); i < kRounds * kTile; i += kThreads) {
      const int64_t row = first_query + i % kTile;
      if (row >= args.rows || counters[i] == 0) continue;
      const int64_t t = args.thresholds.begin[row] + first_round + i / kTile;
      atomicAdd(args.counts + t, static_cast<unsigned long long>(counters[i]));  // whole numbers
    }
    __syncthreads();
  }
}

// Hidden items are counted like all others and taken away one by one. A warp has a row.
__global__ void TakeHiddenKernel(const CountArgs args) {
  for (int64_t row = GlobalWarp(); row < args.rows; row += GridWarps()) {
    const int64_t begin = args.thresholds.begin[row], end = args.thresholds.begin[row + 1];
    if (begin == end) continue;
    for (int64_t k = args.hidden.begin[row] + LaneOf(); k < args.hidden.begin[row + 1];
         k += kWarpLanes) {
      const int64_t item = args.hidden.items[k];
      const float score = Score(args.q + row * args.items.dim,
                                args.items.vectors + item * args.items.dim, args.items.dim);
      for (int64_t t = begin; t < end; ++t) {
        if (IsAbove(score, item, args.thresholds, t)) atomicAdd(args.counts + t, ~0ULL);  // - 1
      }
    }
  }
}

void CountAbove(const float* q, int64_t rows, const ItemVectors& items,
                const Thresholds& thresholds, const HiddenItems& hidden, int64_t* counts) {
  if (rows == 0 || items.n == 0) return;
  const CountArgs args{q,          rows,   items,
                       thresholds, hidden, reinterpret_cast<unsigned long long*>(counts)};
  // Enough blocks for every multiprocessor, each with a few tiles of items at least.
  constexpr int64_t kBlocksWanted = 528, kFewestTiles = 4;
  const int64_t blocks = (rows + kTile - 1) / kTile, tiles = (items.n + kTile - 1) / kTile;
  int64_t shares = (kBlocksWanted + blocks - 1) / blocks;
  if (shares > (tiles + kFewestTiles - 1) / kFewestTiles) {
    shares = (tiles + kFewestTiles - 1) / kFewestTiles;
  }
  Launch(CountKernel,
         {.blocks = blocks,
          .blocks_y = shares,
          .threads = kThreads,
          .shared_bytes = kPanelBytes + kCounterBytes,
          .lanes = Lanes::kMeet},
         args, shares);
  Launch(TakeHiddenKernel, {.blocks = BlocksFor(rows * kWarpLanes, kThreads), .threads = kThreads},
         args);
}

// ---- Keys for the best items ----

struct KeyArgs {
  const float* q;
  int64_t rows;
  ItemVectors items;
  ItemTile tile;
  HiddenItems hidden;
  int64_t* keys;
};

__device__ inline int64_t KeyOf(float score, int64_t item) {
  union {
    float number;
    uint32_t bits;
  } both;
  both.number = score + 0.0F;  // -0 is 0
  // Signed order: the magnitude of negative numbers turned around.
  const auto ordered =
      static_cast<int32_t>((both.bits >> 31) != 0 ? both.bits ^ 0x7FFFFFFFU : both.bits);
  return static_cast<int64_t>(static_cast<uint64_t>(static_cast<uint32_t>(ordered)) << 32 |
                              (0xFFFFFFFFU - static_cast<uint32_t>(item)));
}

__global__ void __launch_bounds__(kThreads) KeysKernel(const KeyArgs args) {
  const Panels panels = PanelsIn(SharedMemory<float>());
  const int64_t first_query = static_cast<int64_t>(blockIdx.y) * kTile;
  const int64_t first_item = args.tile.first + BlockX() * kTile;
  TileScores scores;
  ComputeScores(args.q, args.rows, first_query, args.items, first_item, panels, &scores);
  const int ty = Thread() / kSide, tx = Thread() % kSide;
  for (int r = 0; r < kScores; ++r) {
    const int64_t row = first_query + PlaceOf(ty, r);
    for (int c = 0; c < kScores && row < args.rows; ++c) {
      const int64_t item = first_item + PlaceOf(tx, c);
      const int64_t column = item - args.tile.first;
      if (column < args.tile.size) {
        args.keys[row * args.tile.size + column] = KeyOf(scores.at[r][c], item);
      }
    }
  }
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
  const KeyArgs args{q, rows, items, tile, hidden, keys};
  Launch(KeysKernel,
         {.blocks = (tile.size + kTile - 1) / kTile,
          .blocks_y = (rows + kTile - 1) / kTile,
          .threads = kThreads,
          .shared_bytes = kPanelBytes,
          .lanes = Lanes::kMeet},
         args);
  Launch(HideKernel, {.blocks = BlocksFor(rows * kWarpLanes, kThreads), .threads = kThreads}, args);
}

// ---- Pairs, magnitudes ----

__global__ void PairsKernel(const float* q, const ItemVectors items, const int64_t* q_row,
                            const int64_t* item, int64_t pairs, float* scores) {
  for (int64_t p = GlobalThread(); p < pairs; p += GridThreads()) {
    scores[p] = Score(q + q_row[p] * items.dim, items.vectors + item[p] * items.dim, items.dim);
  }
}

void ScorePairs(const float* q, const ItemVectors& items, const int64_t* q_row, const int64_t* item,
                int64_t pairs, float* scores) {
  Launch(PairsKernel, {.blocks = BlocksFor(pairs, kThreads), .threads = kThreads}, q, items, q_row,
         item, pairs, scores);
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

// The kernels read the vectors as they are.
int64_t PackedFloats(int64_t, int64_t) { return 0; }
void PackItems(const float*, int64_t, int64_t, float*) {}

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
