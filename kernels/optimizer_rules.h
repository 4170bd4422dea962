// The rules of the optimizers, one weight at a time: w is the weight, g its gradient, which decay
// has entered already; the state is updated, and the new weight returned. Rows of tables and dense
// weights are driven by loops of their own (cpu/rows_tile.h, cpu/weights_tile.h), which share these
// formulas and so one meaning of every setting. Of internal linkage, for sources that are compiled
// for several instruction sets (cpu/vector_lanes.h).
#pragma once

#include <cfloat>

#include "kernels/device_kernels.h"

namespace torii::kernels {
namespace {

// The smallest normal float keeps 0 / 0 out of a weight without any gradient so far. It lies below
// any useful epsilon and changes no sum but 0.
[[maybe_unused, gnu::always_inline]] inline float Epsilon(const OptimizerStep& s) {
  return s.epsilon + FLT_MIN;
}

[[maybe_unused, gnu::always_inline]] inline float Sgd(const OptimizerStep& s, float w, float g) {
  return w - s.learning_rate * g;
}

// Polyak's heavy ball; m: the sum of past gradients, each step weighted by `momentum`.
[[maybe_unused, gnu::always_inline]] inline float Momentum(const OptimizerStep& s, float w, float g,
                                                           float& m) {
  m = s.momentum * m + g;
  return w - s.learning_rate * m;
}

// Duchi, Hazan and Singer (2011); h: the sum of squares.
[[maybe_unused, gnu::always_inline]] inline float Adagrad(const OptimizerStep& s, float w, float g,
                                                          float& h) {
  h = h + g * g;
  return w - s.learning_rate * g / (__builtin_sqrtf(h) + Epsilon(s));
}

// Adagrad with one h for a whole row: the rate of the row's weights. mean_square: of its gradient.
[[maybe_unused, gnu::always_inline]] inline float RowwiseRate(const OptimizerStep& s,
                                                              float mean_square, float& h) {
  h += mean_square;
  return s.learning_rate / (__builtin_sqrtf(h) + Epsilon(s));
}

// Kingma and Ba (2015); with `shrink`, Loshchilov and Hutter's AdamW (2019).
[[maybe_unused, gnu::always_inline]] inline float Adam(const OptimizerStep& s, float w, float g,
                                                       float& m, float& v) {
  m = s.beta1 * m + s.rest1 * g;
  v = s.beta2 * v + s.rest2 * g * g;
  return w -
         s.learning_rate * (m * s.unbias1) / (__builtin_sqrtf(v * s.unbias2) * s.root + Epsilon(s));
}

}  // namespace
}  // namespace torii::kernels
