// What one instruction set offers for linear layers. Included by the kernel sources, so it includes
// nothing that has inline functions (vector_lanes.h).
#pragma once

#include <cstdint>

namespace torii::kernels::cpu {

// Some rows times a panel: out = a . b + start, then what the other fields say. A row of out
// depends on its row of a alone: it is summed over the steps in order, whatever the other rows are.
struct PanelProduct {
  const float* a = nullptr;  // [rows, steps], rows a_stride apart
  int64_t a_stride = 0, rows = 0, steps = 0;
  const float* b = nullptr;      // [steps, vectors * lanes]
  int64_t vectors = 0;           // 1 to panel_vectors
  const float* start = nullptr;  // [vectors * lanes]; null: zeros
  bool relu = false;             // negative results become 0
  // Where the mask is 0 or less the result becomes 0; null: nowhere. Laid out as out.
  const float* mask = nullptr;
  float* out = nullptr;  // [rows, vectors * lanes], rows out_stride apart
  int64_t out_stride = 0;
};

// The gradient of a weight: out[o] += sum over rows r of g[r][o] * x[r], in the order of the rows.
struct OuterProduct {
  const float* g = nullptr;  // [rows, outputs], rows g_stride apart
  const float* x = nullptr;  // [rows, vectors * lanes], rows x_stride apart
  int64_t g_stride = 0, x_stride = 0, rows = 0, outputs = 0;
  int64_t vectors = 0;   // 1 to panel_vectors
  float* out = nullptr;  // [outputs, vectors * lanes], rows out_stride apart
  int64_t out_stride = 0;
};

struct LinearVariant {
  const char* name;
  int64_t lanes;          // floats in a vector
  int64_t panel_vectors;  // widest panel

  void (*multiply)(const PanelProduct& product);
  void (*add_outer)(const OuterProduct& product);
  // sums [vectors * lanes] += the rows of g, rows `stride` apart.
  void (*add_rows)(const float* g, int64_t stride, int64_t rows, int64_t vectors, float* sums);
  // out [width, padded] = the rows [count, width] transposed, and zeros behind them: padded is a
  // multiple of the lanes.
  void (*transpose)(const float* rows, int64_t count, int64_t width, int64_t padded, float* out);
  // Scales each row to length 1 in place. inverse [rows]: 1 / length, 0 where the length is below
  // min_length; such a row is divided by min_length.
  void (*normalize)(float* y, int64_t stride, int64_t rows, int64_t vectors, float min_length,
                    float* inverse);
  // out = (g - y (y . g)) inverse: the gradient through normalize, for its results y and inverse.
  // All three are [rows, vectors * lanes] with rows `stride` apart but out, whose rows are
  // adjacent.
  void (*normalize_backward)(const float* g, const float* y, int64_t stride, const float* inverse,
                             int64_t rows, int64_t vectors, float* out);
};

// One definition in each of linear_{baseline,avx2,avx512}.cc; null where the compiler has no such
// target.
extern const LinearVariant* const kLinearBaseline;
extern const LinearVariant* const kLinearAvx2;
extern const LinearVariant* const kLinearAvx512;

}  // namespace torii::kernels::cpu
