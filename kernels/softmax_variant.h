// What one instruction set offers for the softmax loss. Included by the kernel sources, so it
// includes nothing that has inline functions (vector_lanes.h).
#pragma once

#include <cstdint>

namespace torii::kernels {

// A panel is [rows, panel_width] floats: what some rows have to do with panel_width columns.
// Dimensions come in slabs of up to slab_width; `vectors` is the width of a slab in vectors of
// `lanes` floats.
struct SoftmaxVariant {
  const char* name;
  int64_t lanes;
  int64_t tile_rows;    // rows of q interleaved as [dim, tile_rows]; divides kRowGranule
  int64_t panel_width;  // columns
  int64_t slab_width;   // dimensions

  // panel = q . v + offset for q [tiles, dim, tile_rows], v [dim, panel_width], offset
  // [panel_width].
  void (*logits)(const float* q, int64_t tiles, const float* v, int64_t dim, const float* offset,
                 float* panel);
  // maximum [rows, lanes]: raised where the panel is higher.
  void (*maximum)(const float* panel, int64_t rows, float* maximum);
  // panel = 2^(panel - shift[row]), exactly 0 from -inf; adds to sums [rows, lanes].
  void (*exponentials)(float* panel, int64_t rows, const float* shift, float* sums);
  // out [rows, slab] += panel . v for v [panel_width, slab]; rows in whole granules.
  void (*add_rows)(const float* panel, int64_t rows, const float* v, int64_t vectors, float* out);
  // out [panel_width, slab] += panel^T . q for q [rows, slab].
  void (*add_columns)(const float* panel, int64_t rows, const float* q, int64_t vectors,
                      float* out);
};

// Rows are handled in multiples of this, which the tiles of every variant divide.
constexpr int64_t kRowGranule = 24;

// One definition in each of softmax_{baseline,avx2,avx512}.cc; null where the compiler has no such
// target.
extern const SoftmaxVariant* const kSoftmaxBaseline;
extern const SoftmaxVariant* const kSoftmaxAvx2;
extern const SoftmaxVariant* const kSoftmaxAvx512;

}  // namespace torii::kernels
