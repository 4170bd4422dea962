// How query rows pass by the panels of items: in blocks that stay in the cache.
#pragma once

#include <cstdint>

#include "kernels/aligned_floats.h"
#include "kernels/score.h"
#include "kernels/score_variant.h"

namespace torii::kernels {

// Query rows that pass over a panel while it is in the first cache; they stay in the second.
constexpr int64_t kBlockRows = 384;

// Rows of q [*, dim] as the tiles read them: [tiles, dim, tile_rows], missing rows zero.
class TiledRows {
 public:
  // rows[i] is the row of q that becomes row i here; null: row i itself.
  TiledRows(const float* q, const int64_t* rows, int64_t n, int64_t dim);
  int64_t num_tiles() const { return num_tiles_; }
  const float* tile(int64_t t) const { return tiles_.get() + t * dim_ * tile_rows_; }

 private:
  int64_t dim_, tile_rows_, num_tiles_;
  AlignedFloats tiles_;
};

// The kernels in use.
const ScoreVariant& CurrentScoreVariant();

// Calls visit(p, t) for every panel and every tile of rows, panel by panel, and fetches the next
// panel from memory meanwhile.
template <typename Visit>
void ForEachPanelAndTile(const PackedVectors& v, int64_t num_tiles, const Visit& visit) {
  constexpr int64_t kFloatsOfLine = 16;
  const int64_t panel_size = PackedVectors::panel_width() * v.dim();
  const int64_t lines_of_tile = panel_size / kFloatsOfLine / (num_tiles > 0 ? num_tiles : 1) + 1;
  for (int64_t p = 0; p < v.num_panels(); ++p) {
    const float* next = v.panel(p + 1 < v.num_panels() ? p + 1 : p);
    const float* const end = next + panel_size;
    for (int64_t t = 0; t < num_tiles; ++t) {
      for (int64_t i = 0; i < lines_of_tile && next < end; ++i, next += kFloatsOfLine) {
        __builtin_prefetch(next, 0, 2);
      }
      visit(p, t);
    }
  }
}

}  // namespace torii::kernels
