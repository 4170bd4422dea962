// Between rows of floats and the operands of the softmax kernels (softmax_tile.h).
#pragma once

#include "kernels/cpu/softmax/softmax_tile.h"
#include "kernels/cpu/transpose_lanes.h"

namespace torii::kernels::cpu {
namespace {

template <class Terms>
struct SoftmaxPacking : SoftmaxKernels<Terms> {
  using Kernels = SoftmaxKernels<Terms>;
  using Words = typename Kernels::Words;
  using Kernels::kPanelWidth;
  using Kernels::kTerms;

  // The word vector `group` of a row of `dim` floats; zeros without a row.
  [[gnu::always_inline]] static Words RowWords(const float* row, int64_t dim, int64_t group,
                                               float scale) {
    Floats terms[kTerms] = {};
    for (int t = 0; row != nullptr && t < kTerms; ++t) {
      const int64_t d = (group * kTerms + t) * kLanes;
      terms[t] = LoadFirst(row + d, dim - d) * scale;
    }
    return Terms::Pack(terms);
  }

  static void PackRows(const float* q, int64_t rows, int64_t dim, float scale, float* out) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t g = 0; g < Kernels::WordVectors(dim); ++g) {
        Terms::StoreWords(out, RowWords(q + r * dim, dim, g, scale));
        out += kLanes;
      }
    }
  }

  static void PackColumns(const float* v, int64_t columns, int64_t dim, float* panel,
                          float* slabs) {
    const auto column = [&](int64_t c) { return c < columns ? v + c * dim : nullptr; };
    for (int64_t c = 0; c < kPanelWidth; c += kLanes) {
      for (int64_t g = 0; g < Kernels::WordVectors(dim); ++g) {
        Ints tile[kLanes];
        for (int i = 0; i < kLanes; ++i) {
          tile[i] = reinterpret_cast<Ints>(RowWords(column(c + i), dim, g, 1.0F));
        }
        TransposeLanes(tile);
        for (int i = 0; i < kLanes; ++i) {
          Terms::StoreWords(panel + (g * kLanes + i) * kPanelWidth + c,
                            reinterpret_cast<Words>(tile[i]));
        }
      }
    }
    // Words of columns a vector apart, each dimension by itself.
    for (int64_t i = 0; i < kPanelWidth / kTerms; ++i) {
      const float* part[kTerms];
      for (int t = 0; t < kTerms; ++t) {
        part[t] = column((i / kLanes * kTerms + t) * kLanes + i % kLanes);
      }
      PackTogether(part, dim, i, kPanelWidth / kTerms, slabs);
    }
  }

  // A word of each dimension of kTerms rows, to row `place` of slabs of `places` rows.
  [[gnu::always_inline]] static void PackTogether(const float* const (&part)[kTerms], int64_t dim,
                                                  int64_t place, int64_t places, float* slabs,
                                                  const float* scale = nullptr) {
    const int64_t vectors = Kernels::DimVectors(dim);
    for (int64_t k = 0; k < vectors; ++k) {
      Floats terms[kTerms] = {};
      for (int t = 0; t < kTerms; ++t) {
        if (part[t] == nullptr) continue;
        terms[t] = LoadFirst(part[t] + k * kLanes, dim - k * kLanes);
        if (scale != nullptr) terms[t] *= scale[t];
      }
      Terms::StoreWords(slabs + PlaceOf(k, vectors, place, places), Terms::Pack(terms));
    }
  }

  static void ScaleRows(const float* q, int64_t rows, int64_t dim, const float* scale,
                        int64_t block_rows, float* slabs) {
    for (int64_t r = 0; r < rows; r += kTerms) {
      const float* part[kTerms];
      for (int t = 0; t < kTerms; ++t) part[t] = r + t < rows ? q + (r + t) * dim : nullptr;
      PackTogether(part, dim, r / kTerms, block_rows / kTerms, slabs, scale + r);
    }
  }

  // Where vector k of the dimensions of a row is, in slabs of `places` rows.
  [[gnu::always_inline]] static int64_t PlaceOf(int64_t k, int64_t vectors, int64_t row,
                                                int64_t places) {
    const int64_t slab = k / kSlabVectors * kSlabVectors;
    const int64_t width = (vectors - slab < kSlabVectors ? vectors - slab : kSlabVectors) * kLanes;
    return slab * kLanes * places + row * width + (k - slab) * kLanes;
  }

  static void FinishRow(const float* sums, int64_t row, int64_t block_rows, float scale,
                        int64_t dim, float* q_grad) {
    const int64_t vectors = Kernels::DimVectors(dim);
    for (int64_t d = 0; d < dim; d += kLanes) {
      const Floats sum = Load(sums + PlaceOf(d / kLanes, vectors, row, block_rows));
      StoreFirst(q_grad + d, sum * scale, dim - d);
    }
  }

  static void AddScaled(const float* x, float slope, int64_t dim, float* out) {
    for (int64_t d = 0; d < dim; d += kLanes) {
      StoreFirst(out + d, LoadFirst(out + d, dim - d) + slope * LoadFirst(x + d, dim - d), dim - d);
    }
  }

  static void AddColumn(const float* q, float slope, int64_t column, int64_t dim, float* out) {
    const int64_t vectors = Kernels::DimVectors(dim);
    for (int64_t d = 0; d < dim; d += kLanes) {
      float* at = out + PlaceOf(d / kLanes, vectors, column, kPanelWidth);
      Store(at, Load(at) + slope * LoadFirst(q + d, dim - d));
    }
  }

  static double Logit(const float* row, const float* v, int64_t dim) {
    Doubles sums{};
    for (int64_t g = 0; g < Kernels::WordVectors(dim); ++g) {
      Floats x[kTerms], y[kTerms];
      Terms::Unpack(Terms::LoadWords(row + g * kLanes), x);
      Terms::Unpack(RowWords(v, dim, g, 1.0F), y);
      for (int t = 0; t < kTerms; ++t) {
        sums += __builtin_convertvector(x[t], Doubles) * __builtin_convertvector(y[t], Doubles);
      }
    }
    double parts[4] = {};
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) parts[i % 4] += sums[i];
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
  }
};

template <class Terms>
constexpr SoftmaxVariant MakeSoftmaxVariant(const char* name) {
  using K = SoftmaxPacking<Terms>;
  return {.name = name,
          .precision = Terms::kPrecision,
          .emulated = Terms::kEmulated,
          .lanes = kLanes,
          .terms = Terms::kTerms,
          .panel_width = K::kPanelWidth,
          .slab_width = kSlabWidth,
          .pack_rows = K::PackRows,
          .pack_columns = K::PackColumns,
          .logit = K::Logit,
          .logits = K::template Logits<>,
          .maximum = K::Maximum,
          .largest_lanes = K::LargestLanes,
          .add_lanes = K::AddLanes,
          .exponentials = K::Exponentials,
          .add_rows = K::AddRows,
          .finish_row = K::FinishRow,
          .add_scaled = K::AddScaled,
          .scale_rows = K::ScaleRows,
          .add_columns = K::AddColumns,
          .add_column = K::AddColumn};
}

}  // namespace
}  // namespace torii::kernels::cpu
