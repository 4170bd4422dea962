// How query rows pass by the panels of items: in blocks that stay in the cache.
#pragma once

#include <cstdint>

#include "kernels/cpu/aligned_floats.h"
#include "kernels/cpu/ranking/score.h"
#include "kernels/cpu/ranking/score_variant.h"

namespace torii::kernels::cpu {

// Query rows that pass over a panel while it is in the first cache; they stay in the second.
constexpr int64_t kBlockRows = 384;

// Rows of q [*, dim] as the tiles read them: [tiles, dim, tile_rows], missing rows zero.
class TiledRows {
 public:
  // For the tiles that the variant of v has. rows[i] is the row of q that becomes row i here; null:
  // row i itself.
  TiledRows(const float* q, const int64_t* rows, int64_t n, const PackedVectors& v);
  int64_t num_tiles() const { return num_tiles_; }
  const float* tile(int64_t t) const { return tiles_.get() + t * dim_ * tile_rows_; }

 private:
  int64_t dim_, tile_rows_, num_tiles_;
  AlignedFloats tiles_;
};

// Calls visit(p, t) for every panel and every tile of rows, panel by panel.
template <typename Visit>
void ForEachPanelAndTile(const PackedVectors& v, int64_t num_tiles, const Visit& visit) {
  for (int64_t p = 0; p < v.num_panels(); ++p) {
    for (int64_t t = 0; t < num_tiles; ++t) visit(p, t);
  }
}

}  // namespace torii::kernels::cpu
