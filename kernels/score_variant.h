// What one instruction set offers for scoring. Included by the kernel sources, so it includes
// nothing that has inline functions (vector_lanes.h).
#pragma once

#include <cstdint>

namespace torii::kernels {

// The work of count_tile: for each row of a tile how many items of a full panel score above its
// threshold, or equal to it with an index in the panel below tie_before.
struct CountTile {
  const float* q;      // [dim, tile_rows]: the rows of a tile, interleaved
  const float* panel;  // [dim, panel_width]
  int64_t dim;
  const float* threshold;     // [tile_rows]
  const int64_t* tie_before;  // [tile_rows], may lie outside the panel
  int32_t* counters;          // [tile_rows, lanes], increased
};

struct ScoreVariant {
  const char* name;
  int64_t tile_rows;    // query rows of one tile
  int64_t panel_width;  // items of one panel
  int64_t lanes;        // counters of one row
  // out[r * stride + j] for all rows of the tile and the first `vectors` * lanes items of the
  // panel.
  void (*score_tile)(const float* q, const float* panel, int64_t dim, int64_t vectors, float* out,
                     int64_t stride);
  void (*count_tile)(const CountTile& tile);
  float (*score)(const float* q, const float* v, int64_t dim);
  // `steps` multiply-adds in each accumulator of a tile, without memory: what the machine can do,
  // for benchmarks.
  void (*multiply_add)(int64_t steps, float factor, float* out);
};

// One definition in each of score_{baseline,avx2,avx512}.cc; null where the compiler has no such
// target.
extern const ScoreVariant* const kScoreBaseline;
extern const ScoreVariant* const kScoreAvx2;
extern const ScoreVariant* const kScoreAvx512;

}  // namespace torii::kernels
