// Sorts the best keys of each row: a bitonic sort by one warp, in shared memory where they fit.
#include "kernels/cuda/device.h"
#include "kernels/cuda/ranking/best_items.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 128;  // a warp has a row
constexpr int kRows = kThreads / kWarpLanes;
constexpr int64_t kMostShared = 1024;  // keys of a row

// Descending. count: a power of two. All lanes of the warp call it.
__device__ inline void SortKeys(Key* keys, int64_t count) {
  __syncwarp();
  for (int64_t size = 2; size <= count; size *= 2) {
    for (int64_t step = size / 2; step > 0; step /= 2) {
      for (int64_t pair = LaneOf(); pair < count / 2; pair += kWarpLanes) {
        const int64_t i = 2 * pair - (pair & (step - 1)), j = i + step;
        const Key a = keys[i], b = keys[j];
        const bool is_descending = (i & size) == 0;
        if (is_descending ? a < b : a > b) {
          keys[i] = b;
          keys[j] = a;
        }
      }
      __syncwarp();
    }
  }
}

__global__ void __launch_bounds__(kThreads) SortKernel(const BestRows args, const TopKLists lists) {
  const int64_t row = GlobalWarp();
  if (row >= args.rows) return;
  Key* const best = args.best + row * args.stride;
  Key* const keys =
      args.stride <= kMostShared ? SharedMemory<Key>() + WarpOfBlock() * args.stride : best;
  const int count = args.num_best[row];
  for (int64_t i = LaneOf(); i < args.stride; i += kWarpLanes) keys[i] = i < count ? best[i] : 0;
  SortKeys(keys, args.stride);
  for (int64_t i = LaneOf(); i < count; i += kWarpLanes) {
    lists.items[row * lists.k + i] = ItemOf(keys[i]);
    lists.scores[row * lists.k + i] = ScoreOf(keys[i]);
  }
  if (LaneOf() == 0) lists.length[row] = count;
}

}  // namespace

void SortBest(const BestRows& rows, const TopKLists& lists) {
  const int64_t shared = rows.stride <= kMostShared ? rows.stride : 0;
  Launch(SortKernel,
         {.blocks = (rows.rows + kRows - 1) / kRows,
          .threads = kThreads,
          .shared_bytes = kRows * static_cast<size_t>(shared) * sizeof(Key),
          .lanes = Lanes::kMeet},
         rows, lists);
}

}  // namespace torii::kernels::cuda
