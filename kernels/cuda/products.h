// Products of matrices in float32 whose bits are those of one order of additions: an element is a sum
// over the inner dimension from the first term to the last, by fused multiply-add, whatever else is
// computed beside it. All matrices lie row by row.
#pragma once

#include <cstdint>

namespace torii::kernels::cuda {

// What is done with an element c of the result before it is written, in this order.
struct Finish {
  const float* bias = nullptr;  // [columns]: c + bias; null: nothing
  bool relu = false;            // max(c, 0)
  const float* gate = nullptr;  // [rows, columns]: 0 unless the gate is above 0; null: nothing
};

// c [rows, columns] = a [rows, inner] times b.
struct Product {
  const float* a = nullptr;
  const float* b = nullptr;  // [columns, inner], or [inner, columns] unless b_is_transposed
  bool b_is_transposed = false;
  float* c = nullptr;
  int64_t rows = 0, columns = 0, inner = 0;
};
void Multiply(const Product& product, const Finish& finish);

// c [a_columns, b_columns] = the sum over the rows r of a [rows, a_columns] and b [rows, b_columns]
// of a_r^T b_r: rows in parts, whose sums are added in order. The number of rows decides the parts.
struct ProductOverRows {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  int64_t rows = 0, a_columns = 0, b_columns = 0;
};
void MultiplyOverRows(const ProductOverRows& product);

// sums [columns] = the sum of the rows of x [rows, columns], in parts likewise.
void SumRows(const float* x, int64_t rows, int64_t columns, float* sums);

}  // namespace torii::kernels::cuda
