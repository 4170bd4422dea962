// The steps of the softmax loss in bfloat16 (softmax_entries.cu puts them together):
//   1. q / tau in base 2 and v are rounded and padded; pairs that are no part of the sums are hidden:
//      the rows' own positives, and excluded columns (softmax_prepare.cu);
//   2. a pass of queries over columns (softmax_pass.cu);
//   3. for each query: its sums, the losses of its rows, its gradient, and what its exponentials
//      weigh in the gradient of v (softmax_queries.cu);
//   4. a pass of columns over queries;
//   5. for each column: its gradient, with the part of the rows whose positive it is.
#pragma once

#include <cstdint>

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/softmax/softmax_pass.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cuda {

constexpr double kLog2E = 1.4426950408889634;

// Rows and columns of both roles are padded to whole tiles of stationary rows.
struct PaddedSizes {
  int64_t queries = 0, columns = 0;
  int dim = 0;
};
PaddedSizes SizesOf(const SoftmaxArgs& args);

// What both passes read.
class SoftmaxOperands {
 public:
  explicit SoftmaxOperands(const SoftmaxArgs& args);
  const PaddedSizes& sizes() const { return sizes_; }
  const uint16_t* q() const { return q_.get(); }                        // [queries, dim]
  const uint16_t* v() const { return v_.get(); }                        // [columns, dim]
  const float* column_offset() const { return column_offset_.get(); }   // [columns], base 2
  const uint32_t* query_of_row() const { return query_of_row_.get(); }  // [rows]
  HiddenPairs of_queries() const { return {hidden_begin_.get(), hidden_.get()}; }
  HiddenPairs of_columns() const { return {hidden_begin_.get() + query_buckets_, hidden_.get()}; }

 private:
  PaddedSizes sizes_;
  Scratch<uint16_t> q_, v_;
  Scratch<float> column_offset_;
  Scratch<uint32_t> query_of_row_;
  // Hidden pairs by tiles: where queries are stationary, then where columns are.
  int64_t query_buckets_;
  Scratch<uint32_t> hidden_begin_, hidden_;
};

// Results of a pass.
struct PassResults {
  int64_t splits;
  Scratch<float> out, sum, shift;
  PassResults(int64_t pass_splits, int64_t rows, int dim)
      : splits(pass_splits), out(splits * rows * dim), sum(splits * rows), shift(splits * rows) {}
};

// Writes row_loss and q_grad.
struct FinishedQueries {
  // [rows]: what the row's query weighs in the gradient of its positive; the rows of a query that
  // share one have it in the first of them, 0 in the others.
  float* slope;
  // [padded queries]: log2 of what the exponentials weigh, less the query's shift; the columns'
  // offset of the second pass.
  float* offset;
};
void FinishQueries(const SoftmaxArgs& args, const SoftmaxOperands& operands,
                   const PassResults& pass, const FinishedQueries& finished);

// Without products of its own (softmax_rows.cu): turns those of some queries into gradients and writes
// their row_loss.
void FinishProducts(const SoftmaxRowsArgs& args);

// Writes v_grad.
void FinishColumns(const SoftmaxArgs& args, const SoftmaxOperands& operands,
                   const PassResults& pass, const float* slope);

}  // namespace torii::kernels::cuda
