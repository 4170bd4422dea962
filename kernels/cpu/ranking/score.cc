#include "kernels/cpu/ranking/score.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/cpu/ranking/score_rows.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The scores of one tile, cut to `rows` x `items`, at out (row stride `stride`).
void StoreTile(const ScoreVariant& k, const ScoreTile& tile, int64_t rows, int64_t items,
               float* out, int64_t stride) {
  if (rows == k.tile_rows && items == k.panel_width) {
    k.score_tile(tile, k.panel_width / k.lanes, out, stride);
    return;
  }
  alignas(64) float scores[8 * 48];
  k.score_tile(tile, CeilDivide(items, k.lanes), scores, k.panel_width);
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(out + r * stride, scores + r * k.panel_width,
                static_cast<size_t>(items) * sizeof(float));
  }
}

}  // namespace

int64_t PackedFloats(int64_t n, int64_t dim, const ScoreVariant* variant) {
  const int64_t width = Choose(variant, RunnableScoreVariants()).panel_width;
  return CeilDivide(n, width) * width * dim;
}

int64_t PackedVectors::num_panels() const { return CeilDivide(n_, panel_width()); }
int64_t PackedVectors::panel_items(int64_t p) const {
  return std::min(panel_width(), n_ - p * panel_width());
}

PackedVectors::PackedVectors(int64_t n, int64_t dim, const ScoreVariant* variant)
    : variant_(&Choose(variant, RunnableScoreVariants())), n_(n), dim_(dim) {
  TORII_CHECK(n >= 0 && dim >= 0, "n ", n, ", dim ", dim);
}

PackedVectors PackedVectors::ViewOf(float* panels, int64_t n, int64_t dim,
                                    const ScoreVariant* variant) {
  PackedVectors view(n, dim, variant);
  view.panels_ = panels;
  return view;
}

PackedVectors::PackedVectors(const float* v, int64_t n, int64_t dim, const ScoreVariant* variant)
    : PackedVectors(n, dim, variant) {
  owned_ = MakeAlignedFloats(PackedFloats(n, dim, variant_));
  panels_ = owned_.get();
  Pack(v, 0, num_panels());
}

void PackedVectors::Pack(const float* v, int64_t first_panel, int64_t end_panel) {
  const int64_t width = panel_width();
  for (int64_t p = first_panel; p < end_panel; ++p) {
    float* panel = panels_ + p * width * dim_;
    const int64_t items = panel_items(p);
    if (items < width) std::fill_n(panel, width * dim_, 0.0F);
    for (int64_t j = 0; j < items; ++j) {
      const float* from = v + (p * width + j) * dim_;
      for (int64_t d = 0; d < dim_; ++d) panel[d * width + j] = from[d];
    }
  }
}

TiledRows::TiledRows(const float* q, const int64_t* rows, int64_t n, const PackedVectors& v)
    : dim_(v.dim()),
      tile_rows_(v.variant().tile_rows),
      num_tiles_(CeilDivide(n, tile_rows_)),
      tiles_(MakeAlignedFloats(num_tiles_ * tile_rows_ * v.dim(), 0.0F)) {
  const int64_t dim = dim_;
  for (int64_t i = 0; i < n; ++i) {
    const float* from = q + (rows == nullptr ? i : rows[i]) * dim;
    float* to = tiles_.get() + (i / tile_rows_) * dim * tile_rows_ + i % tile_rows_;
    for (int64_t d = 0; d < dim; ++d) to[d * tile_rows_] = from[d];
  }
}

void Scores(const float* q, int64_t rows, const PackedVectors& v, float* out) {
  const ScoreVariant& k = v.variant();
  for (int64_t block = 0; block < rows; block += kBlockRows) {
    const int64_t block_rows = std::min(kBlockRows, rows - block);
    const TiledRows tiles(q + block * v.dim(), nullptr, block_rows, v);
    ForEachPanelAndTile(v, tiles.num_tiles(), [&](int64_t p, int64_t t) {
      const int64_t row = t * k.tile_rows;
      StoreTile(k, {tiles.tile(t), v.panel(p), v.dim()}, std::min(k.tile_rows, block_rows - row),
                v.panel_items(p), out + (block + row) * v.n() + p * k.panel_width, v.n());
    });
  }
}

float Score(const float* q, const float* v, int64_t dim, const ScoreVariant* variant) {
  return Choose(variant, RunnableScoreVariants()).score_pair(q, v, dim);
}

}  // namespace torii::kernels::cpu
