// Ranks by counting: how many items score above a threshold, without storing a score.
#pragma once

#include <cstdint>

#include "kernels/cpu/ranking/score.h"

namespace torii::kernels::cpu {

// Adds to counts[t], for each threshold t of a row of q [rows, dim]: how many items j that the row
// does not hide have a score > score[t], or == score[t] with j < tie_before[t]. Scores must be
// finite. The products of a row are computed once, whatever the number of its thresholds.
void CountAbove(const float* q, int64_t rows, const PackedVectors& v, const Thresholds& thresholds,
                const HiddenItems& hidden, int64_t* counts);

}  // namespace torii::kernels::cpu
