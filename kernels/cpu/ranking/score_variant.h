// What one instruction set offers for scoring. Included by the kernel sources, so it includes
// nothing that has inline functions (vector_lanes.h).
#pragma once

#include <cstdint>

namespace torii::kernels::cpu {

// The rows of a tile and the items of a panel, zeros where there are none.
struct ScoreTile {
  const float* q;      // [dim, tile_rows]: the rows, interleaved
  const float* panel;  // [dim, panel_width]
  int64_t dim;
};

// The work of count_tile: each row has a limit in each of `rounds` rounds; the scores above it are
// counted. The scores are computed once.
struct CountTile {
  int64_t rounds;
  const float* limit;  // [rounds, tile_rows]
  int32_t* counters;   // [rounds, tile_rows], increased
  float* scores;       // [tile_rows, panel_width]: written; null: not wanted
};

// The work of filter_tile: which scores of a row are above its limit.
struct FilterTile {
  const float* limit;  // [tile_rows]
  uint64_t* above;     // [tile_rows]: bit j is set where the score of item j is
  float* scores;       // [tile_rows, panel_width]: written for those with a bit set
};

struct ScoreVariant {
  const char* name;
  int64_t tile_rows;    // query rows of one tile
  int64_t panel_width;  // items of one panel, at most 64
  int64_t lanes;        // floats of a vector
  // out[r * stride + j] for all rows of the tile and the first `vectors` * lanes items of the
  // panel.
  void (*score_tile)(const ScoreTile& tile, int64_t vectors, float* out, int64_t stride);
  void (*count_tile)(const ScoreTile& tile, const CountTile& count);
  // Returns which rows have a bit set: bit r for row r.
  uint32_t (*filter_tile)(const ScoreTile& tile, const FilterTile& filter);
  float (*score_pair)(const float* q, const float* v, int64_t dim);
};

// One definition in each of score_{baseline,avx2,avx512}.cc; null where the compiler has no such
// target.
extern const ScoreVariant* const kScoreBaseline;
extern const ScoreVariant* const kScoreAvx2;
extern const ScoreVariant* const kScoreAvx512;

}  // namespace torii::kernels::cpu
