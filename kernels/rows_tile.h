// The row kernels, for the instruction set that the including file is compiled for
// (vector_lanes.h).
#pragma once

#include <cfloat>

#include "kernels/rows_variant.h"
#include "kernels/vector_lanes.h"

namespace torii::kernels {
namespace {

// Rows fetched ahead of the one at work. Near enough to stay in the first-level cache with all
// their state, far enough to hide the memory's latency; 16 to 64 are equally good for gathers.
constexpr int64_t kUpdateAhead = 16;
constexpr int64_t kGatherAhead = 32;
constexpr int64_t kLineFloats = 16;
// Columns whose sums are kept in registers at a time.
constexpr int64_t kBlock = 64;
// Partial sums of a row's mean square: one order of additions, whatever the vector width.
constexpr int64_t kSquareLanes = 16;

[[gnu::always_inline]] inline int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

[[gnu::always_inline]] inline void Prefetch(const float* row, int64_t dim) {
  for (int64_t d = 0; d < dim; d += kLineFloats) __builtin_prefetch(row + d);
}

[[gnu::always_inline]] inline void CopyRow(const float* __restrict from, int64_t dim,
                                           float* __restrict to) {
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) Store(to + d, Load(from + d));
  for (; d < dim; ++d) to[d] = from[d];
}

// `to` is a multiple of a line, `dim` of a line's floats.
[[gnu::always_inline]] inline void CopyRowPastCache(const float* from, int64_t dim, float* to) {
  for (int64_t d = 0; d < dim; d += kLanes) {
#if defined(__AVX512F__)
    __builtin_ia32_movntps512(to + d, Load(from + d));
#elif defined(__AVX2__)
    __builtin_ia32_movntps256(to + d, Load(from + d));
#elif defined(__SSE2__)
    __builtin_ia32_movntps(to + d, Load(from + d));
#else
    Store(to + d, Load(from + d));
#endif
  }
}

[[gnu::always_inline]] inline void FinishStoresPastCache() {
#if defined(__SSE2__)
  __builtin_ia32_sfence();
#endif
}

void Gather(const float* rows, int64_t stride, const int64_t* slots, int64_t count, int64_t dim,
            float* out, bool past_cache) {
  const auto ahead = [&](int64_t i) {
    Prefetch(rows + slots[Least(i + kGatherAhead, count - 1)] * stride, dim);
  };
  const bool aligned = dim % kLineFloats == 0 &&
                       reinterpret_cast<uintptr_t>(out) % (kLineFloats * sizeof(float)) == 0;
  if (past_cache && aligned) {
    for (int64_t i = 0; i < count; ++i) {
      ahead(i);
      CopyRowPastCache(rows + slots[i] * stride, dim, out + i * dim);
    }
    FinishStoresPastCache();
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    ahead(i);
    CopyRow(rows + slots[i] * stride, dim, out + i * dim);
  }
}

// sum[d] (+)= g[0][d] + g[1][d] + ... for `kVectors` vectors of columns, one addition after the
// other.
template <int kVectors>
[[gnu::always_inline]] inline void AddColumns(const float* const* g, int64_t count, int64_t d,
                                              bool first, float* sum) {
  Floats total[kVectors];
  const float* start = first ? g[0] : sum;
  for (int k = 0; k < kVectors; ++k) total[k] = Load(start + d + k * kLanes);
  for (int64_t e = first ? 1 : 0; e < count; ++e) {
    const float* row = g[e] + d;
    for (int k = 0; k < kVectors; ++k) total[k] += Load(row + k * kLanes);
  }
  for (int k = 0; k < kVectors; ++k) Store(sum + d + k * kLanes, total[k]);
}

[[gnu::always_inline]] inline void AddRows(const float* const* g, int64_t count, int64_t dim,
                                           bool first, float* sum) {
  int64_t d = 0;
  for (; d + kBlock <= dim; d += kBlock) AddColumns<kBlock / kLanes>(g, count, d, first, sum);
  for (; d + kLanes <= dim; d += kLanes) AddColumns<1>(g, count, d, first, sum);
  for (; d < dim; ++d) {
    float total = first ? g[0][d] : sum[d];
    for (int64_t e = first ? 1 : 0; e < count; ++e) total += g[e][d];
    sum[d] = total;
  }
}

// The summed gradients [begin, end) of one row, fetching those behind them.
[[gnu::always_inline]] inline void SumGradients(const TouchedRowList& touched, int64_t begin,
                                                int64_t end, int64_t last, int64_t dim,
                                                float* sum) {
  for (int64_t e = begin; e < end; e += kUpdateAhead) {
    const int64_t count = Least(kUpdateAhead, end - e);
    for (int64_t k = 0; k < count; ++k) {
      Prefetch(touched.gradients[Least(e + k + kUpdateAhead, last)], dim);
    }
    AddRows(touched.gradients + e, count, dim, e == begin, sum);
  }
}

[[gnu::always_inline]] inline float SumOfSquares(const float* g, int64_t dim) {
  float lanes[kSquareLanes] = {};
  int64_t d = 0;
  for (; d + kSquareLanes <= dim; d += kSquareLanes) {
    for (int64_t k = 0; k < kSquareLanes; ++k) lanes[k] += g[d + k] * g[d + k];
  }
  for (int64_t k = 0; d + k < dim; ++k) lanes[k] += g[d + k] * g[d + k];
  for (int64_t half = kSquareLanes / 2; half > 0; half /= 2) {
    for (int64_t k = 0; k < half; ++k) lanes[k] += lanes[k + half];
  }
  return lanes[0];
}

// The smallest normal float keeps 0 / 0 out of a row without any gradient so far. It lies below any
// useful epsilon and changes no sum but 0.
[[gnu::always_inline]] inline float Denominator(float square, float epsilon) {
  return __builtin_sqrtf(square) + (epsilon + FLT_MIN);
}

// The arrays of a row are distinct: ivdep.
template <RowRule kRule>
[[gnu::always_inline]] inline void Apply(const RowStep& step, const float* __restrict g,
                                         float* __restrict weight, float* __restrict state) {
  if constexpr (kRule == RowRule::kSgd) {
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) weight[d] -= step.learning_rate * g[d];
  } else if constexpr (kRule == RowRule::kRowwiseAdagrad) {
    *state += SumOfSquares(g, step.dim) / static_cast<float>(step.dim);
    const float scale = step.learning_rate / Denominator(*state, step.epsilon);
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) weight[d] -= scale * g[d];
  } else if constexpr (kRule == RowRule::kAdagrad) {
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) {
      const float h = state[d] + g[d] * g[d];
      state[d] = h;
      weight[d] -= step.learning_rate * g[d] / Denominator(h, step.epsilon);
    }
  } else {
    float* __restrict second = state + step.dim;
#pragma GCC ivdep
    for (int64_t d = 0; d < step.dim; ++d) {
      const float m = step.beta1 * state[d] + (1 - step.beta1) * g[d];
      const float v = step.beta2 * second[d] + (1 - step.beta2) * g[d] * g[d];
      state[d] = m;
      second[d] = v;
      weight[d] -=
          step.learning_rate * (m * step.unbias1) / Denominator(v * step.unbias2, step.epsilon);
    }
  }
}

template <RowRule kRule>
[[gnu::always_inline]] inline void PrefetchRow(const RowStep& step, int64_t slot) {
  Prefetch(step.weights + slot * step.stride, step.dim);
  const float* state = step.state + slot * step.state_stride;
  if constexpr (kRule == RowRule::kRowwiseAdagrad) __builtin_prefetch(state);
  if constexpr (kRule == RowRule::kAdagrad) Prefetch(state, step.dim);
  if constexpr (kRule == RowRule::kAdam) Prefetch(state, 2 * step.dim);
}

// A copy of the step, which stores to rows cannot change, stays in registers.
template <RowRule kRule>
void UpdateBy(const RowStep step, const TouchedRowList touched, int64_t begin, int64_t end,
              float* sum) {
  const int64_t last = static_cast<int64_t>(touched.begin[end]) - 1;
  for (int64_t i = begin; i < end; ++i) {
    PrefetchRow<kRule>(step, touched.slots[Least(i + kUpdateAhead, end - 1)]);
    SumGradients(touched, touched.begin[i], touched.begin[i + 1], last, step.dim, sum);
    const int64_t slot = touched.slots[i];
    float* weight = step.weights + slot * step.stride;
    if (step.twice_weight_decay != 0) {
      for (int64_t d = 0; d < step.dim; ++d) sum[d] += step.twice_weight_decay * weight[d];
    }
    Apply<kRule>(step, sum, weight, step.state + slot * step.state_stride);
  }
}

void Update(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end,
            float* sum) {
  switch (step.rule) {
    case RowRule::kSgd:
      return UpdateBy<RowRule::kSgd>(step, touched, begin, end, sum);
    case RowRule::kRowwiseAdagrad:
      return UpdateBy<RowRule::kRowwiseAdagrad>(step, touched, begin, end, sum);
    case RowRule::kAdagrad:
      return UpdateBy<RowRule::kAdagrad>(step, touched, begin, end, sum);
    case RowRule::kAdam:
      return UpdateBy<RowRule::kAdam>(step, touched, begin, end, sum);
  }
}

constexpr RowsVariant MakeRowsVariant(const char* name) { return {name, Gather, Update}; }

}  // namespace
}  // namespace torii::kernels
