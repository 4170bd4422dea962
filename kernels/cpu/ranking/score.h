// Inner products with one fixed order of additions: the score of (q, v) has the same bits whatever
// else is scored beside it, on any number of ranks and threads of one kind of CPU. Ranking by
// comparison needs that. All functions may be called from any number of threads; none of them
// starts threads.
#pragma once

#include <cstdint>

#include "kernels/cpu/aligned_floats.h"
#include "kernels/cpu/ranking/score_variant.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

// The floats that n item vectors of `dim` elements take once they are packed.
int64_t PackedFloats(int64_t n, int64_t dim, const ScoreVariant* variant = nullptr);

// Item vectors [n, dim] rearranged for scoring: panels of panel_width() items, each [dim,
// panel_width()], the last one filled with zeros. `variant`, null for the best one of this machine,
// says how wide a panel is and computes all scores of the vectors.
class PackedVectors {
 public:
  // v: [n, dim] row-major. n may be 0.
  PackedVectors(const float* v, int64_t n, int64_t dim, const ScoreVariant* variant = nullptr);
  // A view of `panels` [PackedFloats(n, dim)], packed already or by Pack, which must be called for
  // all panels, by any threads.
  static PackedVectors ViewOf(float* panels, int64_t n, int64_t dim,
                              const ScoreVariant* variant = nullptr);
  void Pack(const float* v, int64_t first_panel, int64_t end_panel);
  int64_t n() const { return n_; }
  int64_t dim() const { return dim_; }
  int64_t num_panels() const;
  const float* panel(int64_t p) const { return panels_ + p * panel_width() * dim_; }
  // Items of panel p, of which only the last may lack some.
  int64_t panel_items(int64_t p) const;
  int64_t panel_width() const { return variant_->panel_width; }
  const ScoreVariant& variant() const { return *variant_; }

 private:
  PackedVectors(int64_t n, int64_t dim, const ScoreVariant* variant);

  const ScoreVariant* variant_;
  int64_t n_, dim_;
  AlignedFloats owned_;  // or none
  float* panels_ = nullptr;
};

// out[i * n + j] = q_i . v_j for q [rows, dim].
void Scores(const float* q, int64_t rows, const PackedVectors& v, float* out);

// The score of one pair of vectors [dim], bit-equal to the corresponding entry of Scores.
float Score(const float* q, const float* v, int64_t dim, const ScoreVariant* variant = nullptr);

}  // namespace torii::kernels::cpu
