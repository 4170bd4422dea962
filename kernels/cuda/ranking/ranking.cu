// Ranking by inner products: the entries of the table. The score of a pair has the same bits in every
// kernel, and those of the CPU where that fuses multiplications with additions too.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/ranking/packed_vectors.h"
#include "kernels/cuda/ranking/pair_score.h"
#include "kernels/cuda/ranking/ranking_entries.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

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
  table->top_k = TopK;
  table->largest_magnitudes = LargestMagnitudes;
}

}  // namespace torii::kernels::cuda
