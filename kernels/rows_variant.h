// What one instruction set offers for the rows of embedding tables. Included by the kernel sources,
// so it includes nothing that has inline functions (vector_lanes.h).
#pragma once

#include <cstdint>

namespace torii::kernels {

enum class RowRule { kSgd, kRowwiseAdagrad, kAdagrad, kAdam };

// One step of one row optimizer over a table. A row is where the slots say: weights [dim] at
// weights
// + slot * stride, the state beside it at state + slot * state_stride.
struct RowStep {
  RowRule rule;
  int64_t dim;
  int64_t stride;
  float* weights;
  // Row-wise Adagrad: h, one float. Adagrad: h [dim]. Adam: m [dim], then v [dim].
  float* state;
  int64_t state_stride;
  float learning_rate;
  float epsilon;
  float twice_weight_decay;
  float beta1, beta2;
  float unbias1, unbias2;  // 1 / (1 - beta^t)
};

// Distinct row i lies in slots[i] and has the gradient rows [dim] gradients[begin[i]] ..
// gradients[begin[i + 1] - 1], at least one.
struct TouchedRowList {
  int64_t rows;
  const uint32_t* slots;          // [rows]
  const uint32_t* begin;          // [rows + 1]
  const float* const* gradients;  // [begin[rows]]
};

struct RowsVariant {
  const char* name;
  // out[i] = the row of slots[i]. past_cache: stores that leave no trace in the caches.
  void (*gather)(const float* rows, int64_t stride, const int64_t* slots, int64_t count,
                 int64_t dim, float* out, bool past_cache);
  // Sums the gradients of the rows [begin, end) in their order and updates each row once. sum:
  // scratch [dim].
  void (*update)(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end,
                 float* sum);
};

// One definition in each of rows_{baseline,avx2,avx512}.cc; null where the compiler has no such
// target.
extern const RowsVariant* const kRowsBaseline;
extern const RowsVariant* const kRowsAvx2;
extern const RowsVariant* const kRowsAvx512;

}  // namespace torii::kernels
