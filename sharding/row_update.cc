#include "sharding/row_update.h"

#include <cstring>
#include <limits>
#include <vector>

// The loops below are written to become vector code. Those with a square root do when the build
// passes -fno-math-errno, which GCC does not take from here.
#pragma GCC optimize("O3")

namespace torii::sharding {
namespace {

// Rows fetched ahead: 16 is best for updates, 32 for pure gathers (measured on tables beyond the
// cache).
constexpr int64_t kUpdateAhead = 16;
constexpr size_t kGatherAhead = 32;
constexpr int64_t kLineFloats = 16;
// Partial sums of a row's mean square: one order of additions, whatever the vector width.
constexpr int64_t kLanes = 16;
// Keeps 0 / 0 out of a row without any gradient so far; below any useful epsilon.
constexpr float kSmallest = std::numeric_limits<float>::min();

// A built-in: std::sqrt, compiled with other options, is not inlined here. The addition of
// kSmallest changes no sum but 0.
[[gnu::always_inline]] inline float Denominator(float square, float epsilon) {
  return __builtin_sqrtf(square) + (epsilon + kSmallest);
}

[[gnu::always_inline]] inline void Fetch(const float* row, int64_t dim) {
  for (int64_t d = 0; d < dim; d += kLineFloats) __builtin_prefetch(row + d, 1);
}

[[gnu::always_inline]] inline float SumOfSquares(const float* g, int64_t dim) {
  float lanes[kLanes] = {};
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] += g[d + k] * g[d + k];
  }
  for (int64_t k = 0; d + k < dim; ++k) lanes[k] += g[d + k] * g[d + k];
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t k = 0; k < half; ++k) lanes[k] += lanes[k + half];
  }
  return lanes[0];
}

// The summed gradient of distinct row i, in `sum` or, if it is a single one, where it lies.
[[gnu::always_inline]] inline const float* Gradient(const RowStep& step, const TouchedRows& touched,
                                                    size_t i, const float* weight, float* sum) {
  const uint32_t begin = touched.begin()[i], end = touched.begin()[i + 1];
  const float* first = touched.gradients()[begin];
  if (end == begin + 1 && step.twice_weight_decay == 0) return first;
  std::memcpy(sum, first, static_cast<size_t>(step.dim) * sizeof(float));
  for (uint32_t e = begin + 1; e < end; ++e) {
    const float* __restrict g = touched.gradients()[e];
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) sum[d] += g[d];
  }
  if (step.twice_weight_decay != 0) {
    for (int64_t d = 0; d < step.dim; ++d) sum[d] += step.twice_weight_decay * weight[d];
  }
  return sum;
}

// The arrays of a row are distinct: ivdep.
template <TableConfig::Optimizer kOptimizer>
[[gnu::always_inline]] inline void UpdateRow(const RowStep& step, size_t slot,
                                             const float* __restrict g, float* __restrict weight) {
  const size_t offset = slot * static_cast<size_t>(step.dim);
  if constexpr (kOptimizer == TableConfig::SGD) {
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) weight[d] -= step.learning_rate * g[d];
  } else if constexpr (kOptimizer == TableConfig::ROWWISE_ADAGRAD) {
    float& h = step.first[slot];
    h += SumOfSquares(g, step.dim) / static_cast<float>(step.dim);
    const float scale = step.learning_rate / Denominator(h, step.epsilon);
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) weight[d] -= scale * g[d];
  } else if constexpr (kOptimizer == TableConfig::ADAGRAD) {
    float* __restrict h = step.first + offset;
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) {
      h[d] += g[d] * g[d];
      const float denominator = Denominator(h[d], step.epsilon);
      weight[d] -= step.learning_rate * g[d] / denominator;
    }
  } else {
    float* __restrict m = step.first + offset;
    float* __restrict v = step.second + offset;
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) {
      m[d] = step.beta1 * m[d] + (1 - step.beta1) * g[d];
      v[d] = step.beta2 * v[d] + (1 - step.beta2) * g[d] * g[d];
      const float denominator = Denominator(v[d] * step.unbias2, step.epsilon);
      weight[d] -= step.learning_rate * (m[d] * step.unbias1) / denominator;
    }
  }
}

template <TableConfig::Optimizer kOptimizer>
[[gnu::always_inline]] inline void FetchRow(const RowStep& step, size_t slot) {
  const size_t offset = slot * static_cast<size_t>(step.dim);
  Fetch(step.weights + offset, step.dim);
  if constexpr (kOptimizer == TableConfig::ROWWISE_ADAGRAD)
    __builtin_prefetch(step.first + slot, 1);
  if constexpr (kOptimizer == TableConfig::ADAGRAD || kOptimizer == TableConfig::ADAM) {
    Fetch(step.first + offset, step.dim);
  }
  if constexpr (kOptimizer == TableConfig::ADAM) Fetch(step.second + offset, step.dim);
}

template <TableConfig::Optimizer kOptimizer>
[[gnu::always_inline]] inline void UpdateRange(const RowStep& step, const TouchedRows& touched,
                                               int64_t begin, int64_t end, float* sum) {
  for (int64_t i = begin; i < end; ++i) {
    if (i + kUpdateAhead < end) {
      const auto ahead = static_cast<size_t>(i + kUpdateAhead);
      FetchRow<kOptimizer>(step, touched.slots()[ahead]);
      Fetch(touched.gradients()[touched.begin()[ahead]], step.dim);
    }
    const size_t slot = touched.slots()[static_cast<size_t>(i)];
    float* weight = step.weights + slot * static_cast<size_t>(step.dim);
    const float* g = Gradient(step, touched, static_cast<size_t>(i), weight, sum);
    UpdateRow<kOptimizer>(step, slot, g, weight);
  }
}

[[gnu::always_inline]] inline void UpdateAny(const RowStep& step, const TouchedRows& touched,
                                             int64_t begin, int64_t end, float* sum) {
  switch (step.optimizer) {
    case TableConfig::SGD:
      return UpdateRange<TableConfig::SGD>(step, touched, begin, end, sum);
    case TableConfig::ROWWISE_ADAGRAD:
      return UpdateRange<TableConfig::ROWWISE_ADAGRAD>(step, touched, begin, end, sum);
    case TableConfig::ADAGRAD:
      return UpdateRange<TableConfig::ADAGRAD>(step, touched, begin, end, sum);
    case TableConfig::ADAM:
      return UpdateRange<TableConfig::ADAM>(step, touched, begin, end, sum);
  }
}

// The same code for two kinds of CPU. A copy of the step, which stores to rows cannot change, stays
// in registers.
#ifdef __x86_64__
__attribute__((target("avx2,fma"))) void UpdateAvx2(RowStep step, const TouchedRows& touched,
                                                    int64_t begin, int64_t end, float* sum) {
  UpdateAny(step, touched, begin, end, sum);
}
#endif
void UpdateBaseline(RowStep step, const TouchedRows& touched, int64_t begin, int64_t end,
                    float* sum) {
  UpdateAny(step, touched, begin, end, sum);
}

}  // namespace

void UpdateRows(const RowStep& step, const TouchedRows& touched, int64_t begin, int64_t end) {
  std::vector<float> sum(static_cast<size_t>(step.dim));
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return UpdateAvx2(step, touched, begin, end, sum.data());
  }
#endif
  UpdateBaseline(step, touched, begin, end, sum.data());
}

void GatherRows(const float* rows, std::span<const int64_t> slots, int64_t dim, float* out) {
  const size_t bytes = static_cast<size_t>(dim) * sizeof(float);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (i + kGatherAhead < slots.size()) {
      const float* ahead = rows + slots[i + kGatherAhead] * dim;
      for (int64_t d = 0; d < dim; d += kLineFloats) __builtin_prefetch(ahead + d);
    }
    std::memcpy(out, rows + slots[i] * dim, bytes);
    out += dim;
  }
}

}  // namespace torii::sharding
