// The softmax kernels, written once; compiled by softmax_{baseline,avx2,avx512}.cc.
#pragma once

#include "kernels/dot_tile.h"
#include "kernels/softmax_variant.h"

namespace torii::kernels {
namespace {

// The tile of the two gradient products: as many accumulators as the registers hold.
#if defined(__AVX512F__)
constexpr int kGradientRows = 6, kSlabVectors = 4;
#elif defined(__AVX2__)
constexpr int kGradientRows = 6, kSlabVectors = 2;
#else
constexpr int kGradientRows = 4, kSlabVectors = 2;
#endif
static_assert(kRowGranule % kTileRows == 0 && kRowGranule % kGradientRows == 0);

void Logits(const float* q, int64_t tiles, const float* v, int64_t dim, const float* offset,
            float* panel) {
  for (int64_t t = 0; t < tiles; ++t) {
    Floats sums[kTileRows][kPanelVectors];
    DotProducts<kPanelVectors>(q + t * dim * kTileRows, v, dim, sums);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
      for (int k = 0; k < kPanelVectors; ++k) {
        Store(panel + r * kPanelWidth + k * kLanes, sums[r][k] + Load(offset + k * kLanes));
      }
    }
    panel += kTileRows * kPanelWidth;
  }
}

void Maximum(const float* panel, int64_t rows, float* maximum) {
  for (int64_t r = 0; r < rows; ++r) {
    Floats largest = Load(maximum + r * kLanes);
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      const Floats x = Load(panel + r * kPanelWidth + k * kLanes);
      largest = x > largest ? x : largest;
    }
    Store(maximum + r * kLanes, largest);
  }
}

// 2^x for x <= 0 with a relative error below 3e-7: x = n + r with n whole and |r| <= 1/2, a
// polynomial for 2^r (minimax of degree 5), n added to the exponent. 0 below 2^-125; NaN stays NaN.
[[gnu::always_inline]] inline Floats Exp2(Floats x) {
  const Floats round = Broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to whole numbers
  const Floats rounded = x + round;
  const Floats r = x - (rounded - round);
  Floats p = r * 0.00132764712F + 0.00967554162F;
  p = p * r + 0.0555071328F;
  p = p * r + 0.240221197F;
  p = p * r + 0.693146967F;
  p = p * r + 1.00000007F;
  const Ints exponent = (reinterpret_cast<Ints>(rounded) - reinterpret_cast<Ints>(round)) << 23;
  const Floats power = reinterpret_cast<Floats>(reinterpret_cast<Ints>(p) + exponent);
  const Floats known = x < Broadcast(-125.0F) ? Floats{} : power;
  return x == x ? known : x;
}

void Exponentials(float* panel, int64_t rows, const float* shift, float* sums) {
  for (int64_t r = 0; r < rows; ++r) {
    Floats sum = Load(sums + r * kLanes);
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      float* at = panel + r * kPanelWidth + k * kLanes;
      const Floats e = Exp2(Load(at) - shift[r]);
      Store(at, e);
      sum += e;
    }
    Store(sums + r * kLanes, sum);
  }
}

// out[m][k] += sum over `steps` s of a[m * kRowStride + s * kStepStride] * b[s][k], with kVectors
// vectors in a row of b and of out.
template <int kRows, int kVectors, int kRowStride, int kStepStride>
[[gnu::always_inline]] inline void AddProducts(const float* a, int64_t steps, const float* b,
                                               float* out) {
  constexpr int kWidth = kVectors * kLanes;
  Floats sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) sums[m][k] = Load(out + m * kWidth + k * kLanes);
  }
  for (int64_t s = 0; s < steps; ++s) {
    Floats row[kVectors];
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) row[k] = Load(b + k * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
      for (int k = 0; k < kVectors; ++k) sums[m][k] += a[m * kRowStride] * row[k];
    }
    a += kStepStride;
    b += kWidth;
  }
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) Store(out + m * kWidth + k * kLanes, sums[m][k]);
  }
}

template <int kVectors>
void AddRowsOfWidth(const float* panel, int64_t rows, const float* v, float* out) {
  for (int64_t r = 0; r < rows; r += kGradientRows) {
    AddProducts<kGradientRows, kVectors, kPanelWidth, 1>(panel + r * kPanelWidth, kPanelWidth, v,
                                                         out + r * kVectors * kLanes);
  }
}

template <int kVectors>
void AddColumnsOfWidth(const float* panel, int64_t rows, const float* q, float* out) {
  constexpr int kRest = kPanelWidth % kGradientRows;
  constexpr int kWhole = kPanelWidth - kRest;
  for (int64_t c = 0; c < kWhole; c += kGradientRows) {
    AddProducts<kGradientRows, kVectors, 1, kPanelWidth>(panel + c, rows, q,
                                                         out + c * kVectors * kLanes);
  }
  if constexpr (kRest > 0) {
    AddProducts<kRest, kVectors, 1, kPanelWidth>(panel + kWhole, rows, q,
                                                 out + kWhole * kVectors * kLanes);
  }
}

void AddRows(const float* panel, int64_t rows, const float* v, int64_t vectors, float* out) {
  static_assert(kSlabVectors <= 4);
  if (vectors == 1) return AddRowsOfWidth<1>(panel, rows, v, out);
  if (vectors == 2) return AddRowsOfWidth<2>(panel, rows, v, out);
  if constexpr (kSlabVectors > 2) {
    if (vectors == 3) return AddRowsOfWidth<3>(panel, rows, v, out);
    AddRowsOfWidth<kSlabVectors>(panel, rows, v, out);
  }
}

void AddColumns(const float* panel, int64_t rows, const float* q, int64_t vectors, float* out) {
  if (vectors == 1) return AddColumnsOfWidth<1>(panel, rows, q, out);
  if (vectors == 2) return AddColumnsOfWidth<2>(panel, rows, q, out);
  if constexpr (kSlabVectors > 2) {
    if (vectors == 3) return AddColumnsOfWidth<3>(panel, rows, q, out);
    AddColumnsOfWidth<kSlabVectors>(panel, rows, q, out);
  }
}

constexpr SoftmaxVariant MakeSoftmaxVariant(const char* name) {
  return {name,   kLanes,  kTileRows,    kPanelWidth, kSlabVectors * kLanes,
          Logits, Maximum, Exponentials, AddRows,     AddColumns};
}

}  // namespace
}  // namespace torii::kernels
