// The rules of the optimizers, one weight at a time: w is the weight, g its gradient, which decay
// has entered already; the state is updated, and the new weight returned. Rows of tables and dense
// weights are driven by loops of their own (cpu/rows_tile.h, cpu/weights_tile.h, cuda/rows.cu,
// cuda/weights.cu), which share these formulas and so one meaning of every setting. Of internal
// linkage, for sources that are compiled for several instruction sets (cpu/vector_lanes.h).
#pragma once

#include <cfloat>

#include "kernels/device_kernels.h"

#ifdef __CUDACC__
#define TORII_RULE [[maybe_unused]] __host__ __device__ __forceinline__
#else
#define TORII_RULE [[maybe_unused, gnu::always_inline]] inline
#endif

namespace torii::kernels {
namespace {

TORII_RULE float RuleRoot(float x) {
#ifdef __CUDA_ARCH__
  return sqrtf(x);
#else
  return __builtin_sqrtf(x);
#endif
}

// The smallest normal float keeps 0 / 0 out of a weight without any gradient so far. It lies below
// any useful epsilon and changes no sum but 0.
TORII_RULE float Epsilon(const OptimizerStep& s) { return s.epsilon + FLT_MIN; }

TORII_RULE float Sgd(const OptimizerStep& s, float w, float g) { return w - s.learning_rate * g; }

// Polyak's heavy ball; m: the sum of past gradients, each step weighted by `momentum`.
TORII_RULE float Momentum(const OptimizerStep& s, float w, float g, float& m) {
  m = s.momentum * m + g;
  return w - s.learning_rate * m;
}

// Duchi, Hazan and Singer (2011); h: the sum of squares.
TORII_RULE float Adagrad(const OptimizerStep& s, float w, float g, float& h) {
  h = h + g * g;
  return w - s.learning_rate * g / (RuleRoot(h) + Epsilon(s));
}

// Adagrad with one h for a whole row: the rate of the row's weights. mean_square: of its gradient.
TORII_RULE float RowwiseRate(const OptimizerStep& s, float mean_square, float& h) {
  h += mean_square;
  return s.learning_rate / (RuleRoot(h) + Epsilon(s));
}

// Kingma and Ba (2015); with `shrink`, Loshchilov and Hutter's AdamW (2019).
TORII_RULE float Adam(const OptimizerStep& s, float w, float g, float& m, float& v) {
  m = s.beta1 * m + s.rest1 * g;
  v = s.beta2 * v + s.rest2 * g * g;
  return w - s.learning_rate * (m * s.unbias1) / (RuleRoot(v * s.unbias2) * s.root + Epsilon(s));
}

}  // namespace
}  // namespace torii::kernels

#undef TORII_RULE
