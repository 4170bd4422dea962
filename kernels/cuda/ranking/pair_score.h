// The score of one pair: the same operations in the same order as in a tile of scores.
#pragma once

#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {

// are_vectors: both rows are whole vectors of four.
__device__ inline float PairScore(const float* q, const float* v, int64_t dim, bool are_vectors) {
  float sum = 0;
  if (!are_vectors) {
    for (int64_t d = 0; d < dim; ++d) sum = fmaf(q[d], v[d], sum);
    return sum;
  }
  for (int64_t d = 0; d < dim; d += 4) {
    const Floats<4> of_q = Load<4>(q + d), of_v = Load<4>(v + d);
    TORII_UNROLL
    for (int i = 0; i < 4; ++i) sum = fmaf(of_q.at[i], of_v.at[i], sum);
  }
  return sum;
}

}  // namespace torii::kernels::cuda
