// What one instruction set offers for the softmax loss. Included by the kernel sources, so it
// includes nothing that has inline functions (vector_lanes.h).
#pragma once

#include <cstdint>

#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

// The factors of products are words of four bytes: one float32, or `terms` = 2 bfloat16 whose
// products are added together. A vector register holds `lanes` words. A panel: the logits of a
// block of rows against up to panel_width columns. Dimensions are padded to whole registers. The
// operands of the two gradient products lie in slabs of up to slab_width dimensions, one after the
// other.
struct SoftmaxVariant {
  const char* name;
  SoftmaxPrecision precision;
  bool emulated;  // bfloat16 products by float32 instructions
  int64_t lanes;
  int64_t terms;
  int64_t panel_width;
  int64_t slab_width;

  // q [rows, dim] times `scale` -> out [rows, words of dim].
  void (*pack_rows)(const float* q, int64_t rows, int64_t dim, float scale, float* out);
  // v [columns, dim] -> panel [words of dim, panel_width], for logits, and
  // slabs [slab][panel_width / terms, slab], for add_rows. Missing columns are 0.
  void (*pack_columns)(const float* v, int64_t columns, int64_t dim, float* panel, float* slabs);
  // The product of a packed row and a column: its logit without offset.
  double (*logit)(const float* row, const float* v, int64_t dim);
  // panel [rows, panel_width] = row . column + offset, for the packed rows of pack_rows.
  void (*logits)(const float* q, int64_t rows, const float* v, int64_t columns, int64_t dim,
                 const float* offset, float* panel);
  // maximum [rows, lanes]: raised where the panel is higher.
  void (*maximum)(const float* panel, int64_t rows, float* maximum);
  // Over the lanes of each row: the largest (which may take the place of the lanes), and added to
  // sums [rows].
  void (*largest_lanes)(const float* lanes, int64_t rows, float* largest);
  void (*add_lanes)(const float* lanes, int64_t rows, double* sums);
  // e = 2^(panel - shift[row]), at least 2^126 where that is too large for a float, exactly 0 from
  // -inf, added to sums [rows, lanes]. In place: float32 as they lie; bfloat16 as words of two rows
  // [rows / 2, panel_width], and as words of two columns in by_row [rows, panel_width / 2].
  void (*exponentials)(float* panel, int64_t rows, const float* shift, float* sums, float* by_row);
  // out [rows, slab] += e . v for each slab of [block_rows, slab]; e: the panel, or by_row.
  void (*add_rows)(const float* e, int64_t rows, const float* slabs, int64_t columns, int64_t dim,
                   int64_t block_rows, float* out);
  // One row: q_grad [dim] = its sums of add_rows * scale.
  void (*finish_row)(const float* sums, int64_t row, int64_t block_rows, float scale, int64_t dim,
                     float* q_grad);
  // out [dim] += slope * x [dim].
  void (*add_scaled)(const float* x, float slope, int64_t dim, float* out);
  // q [rows, dim] times scale[row] -> slabs [slab][block_rows / terms, slab], for add_columns.
  void (*scale_rows)(const float* q, int64_t rows, int64_t dim, const float* scale,
                     int64_t block_rows, float* slabs);
  // out [slab][panel_width, slab] += panel^T . q for the slabs of scale_rows.
  void (*add_columns)(const float* panel, int64_t rows, const float* q, int64_t columns,
                      int64_t dim, int64_t block_rows, float* out);
  // One column of such out += slope * q [dim].
  void (*add_column)(const float* q, float slope, int64_t column, int64_t dim, float* out);
};

// One definition in each of softmax_{baseline,avx2,avx512,avx512bf16}.cc; null where the compiler
// has no such target.
extern const SoftmaxVariant* const kSoftmaxBaseline;
extern const SoftmaxVariant* const kSoftmaxBaselineBf16;
extern const SoftmaxVariant* const kSoftmaxAvx2;
extern const SoftmaxVariant* const kSoftmaxAvx2Bf16;
extern const SoftmaxVariant* const kSoftmaxAvx512;
extern const SoftmaxVariant* const kSoftmaxAvx512Bf16;        // products in float32 arithmetic
extern const SoftmaxVariant* const kSoftmaxAvx512NativeBf16;  // with the CPU's bfloat16 products

}  // namespace torii::kernels::cpu
