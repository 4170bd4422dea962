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
  // Not filled: Pack must be called for all panels, by any threads.
  PackedVectors(int64_t n, int64_t dim);
  void Pack(const float* v, int64_t first_panel, int64_t end_panel);
  int64_t n() const { return n_; }
  int64_t dim() const { return dim_; }
  int64_t num_panels() const;
  const float* panel(int64_t p) const { return panels_.get() + p * panel_width() * dim_; }
  // Items of panel p, of which only the last may lack some.
  int64_t panel_items(int64_t p) const;
  static int64_t panel_width();

 private:
  int64_t n_, dim_;
  AlignedFloats panels_;
};

// out[i * n + j] = q_i . v_j for q [rows, dim].
void Scores(const float* q, int64_t rows, const PackedVectors& v, float* out);

// The score of one pair of vectors [dim], bit-equal to the corresponding entry of Scores.
float Score(const float* q, const float* v, int64_t dim);

// Items that each row leaves out: items[begin[i]] .. items[begin[i + 1] - 1], ascending.
struct HiddenItems {
  const int64_t* begin;  // [rows + 1]
  const int64_t* items;
};

// "avx512", "avx2" or "baseline": what this CPU runs.
const char* ChosenVariant();

}  // namespace torii::kernels
