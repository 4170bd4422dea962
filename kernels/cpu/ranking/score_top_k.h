// The items with the highest scores, without storing all scores: a row's scores are compared with a
// limit that its k-th best so far sets, and only what is above is kept.
#pragma once

#include <cstdint>

#include "kernels/cpu/ranking/score.h"

namespace torii::kernels::cpu {

// The k best of v.n() items for each row of q [rows, dim]; v.n() < 2^32, k >= 1. Scores must be
// finite.
void TopKOfRows(const float* q, int64_t rows, const PackedVectors& v, const HiddenItems& hidden,
                const TopKLists& lists);

}  // namespace torii::kernels::cpu
