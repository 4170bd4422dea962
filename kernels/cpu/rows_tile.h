// The row kernels, for the instruction set that the including file is compiled for
// (vector_lanes.h).
#pragma once

#include "kernels/cpu/rows_variant.h"
#include "kernels/cpu/vector_lanes.h"
#include "kernels/optimizer_rules.h"

namespace torii::kernels::cpu {
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

template <int64_t kDim>
void GatherDim(const float* rows, int64_t stride, const int64_t* slots, int64_t count,
               int64_t any_dim, float* out, bool past_cache) {
  const int64_t dim = kDim > 0 ? kDim : any_dim;
  const auto row = [&](int64_t i) { return rows + slots[i] * stride; };
  const bool aligned = dim % kLineFloats == 0 &&
                       reinterpret_cast<uintptr_t>(out) % (kLineFloats * sizeof(float)) == 0;
  if (past_cache && aligned) {
    for (int64_t i = 0; i < count; ++i) {
      Prefetch(row(Least(i + kGatherAhead, count - 1)), dim);
      CopyRowPastCache(row(i), dim, out + i * dim);
    }
    FinishStoresPastCache();
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    Prefetch(row(Least(i + kGatherAhead, count - 1)), dim);
    CopyRow(row(i), dim, out + i * dim);
  }
}

void Gather(const float* rows, int64_t stride, const int64_t* slots, int64_t count, int64_t dim,
            float* out, bool past_cache) {
  switch (dim) {
    case 32:
      return GatherDim<32>(rows, stride, slots, count, dim, out, past_cache);
    case 64:
      return GatherDim<64>(rows, stride, slots, count, dim, out, past_cache);
    case 128:
      return GatherDim<128>(rows, stride, slots, count, dim, out, past_cache);
    default:
      return GatherDim<0>(rows, stride, slots, count, dim, out, past_cache);
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
  Floats lanes[kSquareLanes / kLanes] = {};
  int64_t d = 0;
  for (; d + kSquareLanes <= dim; d += kSquareLanes) {
    for (int64_t k = 0; k < kSquareLanes / kLanes; ++k) {
      const Floats x = Load(g + d + k * kLanes);
      lanes[k] += x * x;
    }
  }
  float sums[kSquareLanes];
  for (int64_t k = 0; k < kSquareLanes / kLanes; ++k) Store(sums + k * kLanes, lanes[k]);
  for (int64_t k = 0; d + k < dim; ++k) sums[k] += g[d + k] * g[d + k];
#pragma GCC unroll 4
  for (int64_t half = kSquareLanes / 2; half > 0; half /= 2) {
    for (int64_t k = 0; k < half; ++k) sums[k] += sums[k + half];
  }
  return sums[0];
}

// The arrays of a row are distinct: ivdep.
template <OptimizerRule kRule>
[[gnu::always_inline]] inline void Apply(const OptimizerStep& step, int64_t dim,
                                         const float* __restrict g, float* __restrict weight,
                                         float* __restrict state) {
  if constexpr (kRule == OptimizerRule::kSgd) {
#pragma GCC ivdep
    for (int64_t d = 0; d < dim; ++d) weight[d] = Sgd(step, weight[d], g[d]);
  } else if constexpr (kRule == OptimizerRule::kMomentum) {
#pragma GCC ivdep
    for (int64_t d = 0; d < dim; ++d) weight[d] = Momentum(step, weight[d], g[d], state[d]);
  } else if constexpr (kRule == OptimizerRule::kRowwiseAdagrad) {
    const float rate = RowwiseRate(step, SumOfSquares(g, dim) / static_cast<float>(dim), *state);
#pragma GCC ivdep
    for (int64_t d = 0; d < dim; ++d) weight[d] -= rate * g[d];
  } else if constexpr (kRule == OptimizerRule::kAdagrad) {
#pragma GCC ivdep
    for (int64_t d = 0; d < dim; ++d) weight[d] = Adagrad(step, weight[d], g[d], state[d]);
  } else {
    float* __restrict second = state + dim;
#pragma GCC ivdep
    for (int64_t d = 0; d < dim; ++d) {
      weight[d] = Adam(step, weight[d], g[d], state[d], second[d]);
    }
  }
}

template <OptimizerRule kRule>
[[gnu::always_inline]] inline void PrefetchRow(const RowStep& step, int64_t dim, int64_t slot) {
  Prefetch(step.weights + slot * step.stride, dim);
  const float* state = step.state + slot * step.state_stride;
  if constexpr (kRule == OptimizerRule::kRowwiseAdagrad) __builtin_prefetch(state);
  if constexpr (kRule == OptimizerRule::kAdagrad || kRule == OptimizerRule::kMomentum) {
    Prefetch(state, dim);
  }
  if constexpr (kRule == OptimizerRule::kAdam) Prefetch(state, 2 * dim);
}

// kDim: the width, 0 for any. A copy of the step, which stores to rows cannot change, stays in
// registers.
template <OptimizerRule kRule, int64_t kDim>
void UpdateBy(const RowStep step, const TouchedRowList touched, int64_t begin, int64_t end,
              float* sum) {
  const int64_t dim = kDim > 0 ? kDim : step.dim;
  const int64_t last = static_cast<int64_t>(touched.begin[end]) - 1;
  const OptimizerStep rule = step.step;
  const bool decays = rule.l2 != 0;
  const int64_t first_slot = step.first_slot;
  for (int64_t i = begin; i < end; ++i) {
    PrefetchRow<kRule>(step, dim, touched.slots[Least(i + kUpdateAhead, end - 1)] - first_slot);
    const int64_t first = touched.begin[i], next = touched.begin[i + 1];
    const int64_t slot = touched.slots[i] - first_slot;
    float* weight = step.weights + slot * step.stride;
    float* state = step.state + slot * step.state_stride;
    if (next == first + 1 && !decays) {  // where it lies
      Prefetch(touched.gradients[Least(first + kUpdateAhead, last)], dim);
      Apply<kRule>(rule, dim, touched.gradients[first], weight, state);
      continue;
    }
    SumGradients(touched, first, next, last, dim, sum);
    if (decays) {
      for (int64_t d = 0; d < dim; ++d) sum[d] += rule.l2 * weight[d];
    }
    Apply<kRule>(rule, dim, sum, weight, state);
  }
}

template <int64_t kDim>
void UpdateDim(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end,
               float* sum) {
  switch (step.step.rule) {
    case OptimizerRule::kSgd:
      return UpdateBy<OptimizerRule::kSgd, kDim>(step, touched, begin, end, sum);
    case OptimizerRule::kMomentum:
      return UpdateBy<OptimizerRule::kMomentum, kDim>(step, touched, begin, end, sum);
    case OptimizerRule::kRowwiseAdagrad:
      return UpdateBy<OptimizerRule::kRowwiseAdagrad, kDim>(step, touched, begin, end, sum);
    case OptimizerRule::kAdagrad:
      return UpdateBy<OptimizerRule::kAdagrad, kDim>(step, touched, begin, end, sum);
    case OptimizerRule::kAdam:
      return UpdateBy<OptimizerRule::kAdam, kDim>(step, touched, begin, end, sum);
  }
}

// The usual widths have code of their own: without counters, loops over a row take half the time.
void Update(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end,
            float* sum) {
  switch (step.dim) {
    case 32:
      return UpdateDim<32>(step, touched, begin, end, sum);
    case 64:
      return UpdateDim<64>(step, touched, begin, end, sum);
    case 128:
      return UpdateDim<128>(step, touched, begin, end, sum);
    default:
      return UpdateDim<0>(step, touched, begin, end, sum);
  }
}

constexpr RowsVariant MakeRowsVariant(const char* name) { return {name, Gather, Update}; }

}  // namespace
}  // namespace torii::kernels::cpu
