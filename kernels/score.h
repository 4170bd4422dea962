// Inner products with one fixed order of additions: the score of (q, v) has the same bits whatever
// else is scored beside it, on any number of ranks and threads of one kind of CPU. Ranking by
// comparison needs that. All functions may be called from any number of threads; none of them
// starts threads.
#pragma once

#include <cstdint>

#include "kernels/aligned_floats.h"

namespace torii::kernels {

// Item vectors [n, dim] rearranged for scoring: panels of panel_width() items, each [dim,
// panel_width()], the last one filled with zeros.
class PackedVectors {
 public:
  // v: [n, dim] row-major. n may be 0.
  PackedVectors(const float* v, int64_t n, int64_t dim);
  int64_t n() const { return n_; }
  int64_t dim() const { return dim_; }
  const float* panels() const { return panels_.get(); }
  static int64_t panel_width();

 private:
  int64_t n_, dim_;
  AlignedFloats panels_;
};

// out[i * n + j] = q_i . v_j for q [rows, dim].
void Scores(const float* q, int64_t rows, const PackedVectors& v, float* out);

// The same for the items [begin, end) alone: out[i * (end - begin) + j - begin]. `begin` is a
// multiple of panel_width().
void ScoresOfRange(const float* q, int64_t rows, const PackedVectors& v, int64_t begin, int64_t end,
                   float* out);

// For each row i: how many items j have score > threshold[i], or == threshold[i] with j <
// tie_before[i]. Adds to counts[i].
void CountAbove(const float* q, int64_t rows, const PackedVectors& v, const float* threshold,
                const int64_t* tie_before, int64_t* counts);

// The score of one pair, bit-equal to the corresponding entry of Scores.
float Score(const float* q, const float* v, int64_t dim);

// "avx512", "avx2" or "baseline": what this CPU runs.
const char* ChosenVariant();

}  // namespace torii::kernels
