// The softmax kernels, written once for every kind of factor (softmax_terms.h); compiled by
// softmax_{baseline,avx2,avx512,avx512bf16}.cc.
#pragma once

#include "kernels/cpu/softmax/softmax_terms.h"

namespace torii::kernels::cpu {
namespace {

// The tile of the two gradient products: as many accumulators as the registers hold.
#if defined(__AVX512F__)
constexpr int kGradientRows = 6, kSlabVectors = 4;
#elif defined(__AVX2__)
constexpr int kGradientRows = 6, kSlabVectors = 2;
#else
constexpr int kGradientRows = 4, kSlabVectors = 2;
#endif
constexpr int kSlabWidth = kSlabVectors * kLanes;

template <class Terms>
struct SoftmaxKernels {
  using Words = typename Terms::Words;
  static constexpr int kTerms = Terms::kTerms;
  static constexpr int kPanelVectors = Terms::kPanelVectors;
  static constexpr int kPanelWidth = kPanelVectors * kLanes;
  static_assert(kPanelVectors % kTerms == 0);

  // Vectors of words that hold `dim` dimensions, and vectors of dimensions in them.
  static int64_t WordVectors(int64_t dim) {
    return (dim + kTerms * kLanes - 1) / (kTerms * kLanes);
  }
  static int64_t DimVectors(int64_t dim) { return WordVectors(dim) * kTerms; }

  // sums[m][k] += sum over `steps` s of a[m * row_stride + s * step] * b[s][k], in vectors of words
  // k of b's rows, which are b_width words long.
  template <int kRows, int kVectors>
  [[gnu::always_inline]] static void MultiplyAdd(const float* a, int64_t row_stride, int64_t step,
                                                 int64_t steps, const float* b, int64_t b_width,
                                                 Floats (&sums)[kRows][kVectors]) {
    for (int64_t s = 0; s < steps; ++s) {
      Words row[kVectors];
#pragma GCC unroll 8
      for (int k = 0; k < kVectors; ++k) row[k] = Terms::LoadWords(b + k * kLanes);
#pragma GCC unroll 8
      for (int m = 0; m < kRows; ++m) {
        const Words factor = Terms::BroadcastWord(a + m * row_stride);
#pragma GCC unroll 8
        for (int k = 0; k < kVectors; ++k) {
          sums[m][k] = Terms::MultiplyAdd(factor, row[k], sums[m][k]);
        }
      }
      a += step;
      b += b_width;
    }
  }

  // Calls tile.template Run<n>(row) for tiles of kRows rows, then for 4, 2 and 1 of the rest.
  template <int kRows, class Tile>
  [[gnu::always_inline]] static void ForTiles(int64_t rows, const Tile& tile) {
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows) tile.template Run<kRows>(row);
    if constexpr (kRows > 4) {
      if (row + 4 <= rows) tile.template Run<4>(row), row += 4;
    }
    if (row + 2 <= rows) tile.template Run<2>(row), row += 2;
    if (row < rows) tile.template Run<1>(row);
  }

  template <int kVectors>
  struct LogitsTile {
    const float* q;
    int64_t q_stride;
    const float* v;
    int64_t words;
    const float* offset;
    float* panel;

    template <int kRows>
    [[gnu::always_inline]] void Run(int64_t row) const {
      Floats sums[kRows][kVectors] = {};
      MultiplyAdd<kRows, kVectors>(q + row * q_stride, q_stride, 1, words, v, kPanelWidth, sums);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        float* out = panel + (row + r) * kPanelWidth;
#pragma GCC unroll 8
        for (int k = 0; k < kPanelVectors; ++k) {
          Store(out + k * kLanes, k < kVectors
                                      ? sums[r][k < kVectors ? k : 0] + Load(offset + k * kLanes)
                                      : Broadcast(-__builtin_inff()));
        }
      }
    }
  };

  template <int kVectors = 1>
  static void Logits(const float* q, int64_t rows, const float* v, int64_t columns, int64_t dim,
                     const float* offset, float* panel) {
    if constexpr (kVectors < kPanelVectors) {
      if (columns > kVectors * kLanes) {
        return Logits<kVectors + 1>(q, rows, v, columns, dim, offset, panel);
      }
    }
    const int64_t stride = WordVectors(dim) * kLanes;
    const LogitsTile<kVectors> tile = {q, stride, v, kTerms == 1 ? dim : stride, offset, panel};
    ForTiles<Terms::kTileRows>(rows, tile);
  }

  static void Maximum(const float* panel, int64_t rows, float* maximum) {
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

  static void LargestLanes(const float* lanes, int64_t rows, float* largest) {
    for (int64_t r = 0; r < rows; ++r) {
      Floats x = Load(lanes + r * kLanes);
#pragma GCC unroll 4
      for (int step = kLanes / 2; step > 0; step /= 2) {
        Ints other;
#pragma GCC unroll 16
        for (int lane = 0; lane < kLanes; ++lane) other[lane] = lane ^ step;
        const Floats y = __builtin_shuffle(x, other);
        x = x > y ? x : y;
      }
      largest[r] = x[0];
    }
  }

  static void AddLanes(const float* lanes, int64_t rows, double* sums) {
    for (int64_t r = 0; r < rows; ++r) {
      double parts[4] = {};
      for (int i = 0; i < kLanes; ++i) parts[i % 4] += static_cast<double>(lanes[r * kLanes + i]);
      sums[r] += (parts[0] + parts[1]) + (parts[2] + parts[3]);
    }
  }

  // 2^r for |r| <= 1/2: minimax polynomials whose relative error is below that of the factors,
  // 3e-7 or 3e-6.
  [[gnu::always_inline]] static Floats Exp2OfFraction(Floats r) {
    if constexpr (Terms::kExactExponentials) {
      Floats p = r * 0.00132764712F + 0.00967554162F;
      p = p * r + 0.0555071328F;
      p = p * r + 0.240221197F;
      p = p * r + 0.693146967F;
      return p * r + 1.00000007F;
    } else {
      Floats p = r * 0.00957010221F + 0.0559178591F;
      p = p * r + 0.240247443F;
      p = p * r + 0.693121791F;
      return p * r + 0.999999285F;
    }
  }

  // 2^x: x = n + r with n whole and |r| <= 1/2. 0 below 2^-125; at least 2^126 from x = 127 on; NaN
  // stays NaN.
  [[gnu::always_inline]] static Floats Exp2(Floats x) {
#if defined(__AVX512F__)
    constexpr int kToNearest = 8, kAll = 0xffff;
    const Floats whole = reinterpret_cast<Floats>(
        _mm512_maskz_roundscale_ps(kAll, reinterpret_cast<__m512>(x), kToNearest));
    const Floats power = Exp2OfFraction(x - whole);
    const Floats least = Broadcast(-125.0F);
    const __mmask16 known = _mm512_cmp_ps_mask(reinterpret_cast<__m512>(x),
                                               reinterpret_cast<__m512>(least), _CMP_NLT_UQ);
    return reinterpret_cast<Floats>(_mm512_maskz_scalef_ps(known, reinterpret_cast<__m512>(power),
                                                           reinterpret_cast<__m512>(whole)));
#else
    const Floats most = Broadcast(127.0F);
    x = x > most ? most : x;
    const Floats round = Broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to whole numbers
    const Floats rounded = x + round;
    const Floats p = Exp2OfFraction(x - (rounded - round));
    const Bits exponent = (reinterpret_cast<Bits>(rounded) - reinterpret_cast<Bits>(round)) << 23;
    const Floats power = reinterpret_cast<Floats>(reinterpret_cast<Bits>(p) + exponent);
    const Floats known = x < Broadcast(-125.0F) ? Floats{} : power;
    return x == x ? known : x;
#endif
  }

  // The exponentials of one row of the panel, added to its sums.
  [[gnu::always_inline]] static void RowExponentials(const float* row, float shift, float* sums,
                                                     Floats (&e)[kPanelVectors]) {
    Floats sum = Load(sums);
#pragma GCC unroll 8
    for (int k = 0; k < kPanelVectors; ++k) {
      e[k] = Exp2(Load(row + k * kLanes) - shift);
      sum += e[k];
    }
    Store(sums, sum);
  }

  static void Exponentials(float* panel, int64_t rows, const float* shift, float* sums,
                           float* by_row) {
    if constexpr (kTerms == 1) {
      for (int64_t r = 0; r < rows; ++r) {
        Floats e[kPanelVectors];
        RowExponentials(panel + r * kPanelWidth, shift[r], sums + r * kLanes, e);
#pragma GCC unroll 8
        for (int k = 0; k < kPanelVectors; ++k) Store(panel + r * kPanelWidth + k * kLanes, e[k]);
      }
    } else {
      for (int64_t r = 0; r < rows; r += 2) {
        Floats e[2][kPanelVectors] = {};
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
          if (r + i == rows) break;
          RowExponentials(panel + (r + i) * kPanelWidth, shift[r + i], sums + (r + i) * kLanes,
                          e[i]);
#pragma GCC unroll 8
          for (int k = 0; k < kPanelVectors; k += 2) {
            Terms::StoreWords(by_row + (r + i) * (kPanelWidth / 2) + k / 2 * kLanes,
                              Terms::PackPair(e[i][k], e[i][k + 1]));
          }
        }
#pragma GCC unroll 8
        for (int k = 0; k < kPanelVectors; ++k) {
          Terms::StoreWords(panel + r / 2 * kPanelWidth + k * kLanes,
                            Terms::PackPair(e[0][k], e[1][k]));
        }
      }
    }
  }

  // out [rows, kVectors vectors] += a . b.
  template <int kVectors>
  struct GradientTile {
    const float* a;
    int64_t row_stride, step, steps;
    const float* b;
    float* out;

    template <int kRows>
    [[gnu::always_inline]] void Run(int64_t row) const {
      constexpr int kWidth = kVectors * kLanes;
      float* to = out + row * kWidth;
      Floats sums[kRows][kVectors];
#pragma GCC unroll 8
      for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
        for (int k = 0; k < kVectors; ++k) {
          sums[m][k] = Load(to + m * kWidth + k * kLanes);
          // The sums of the next tile: they may lie in another core's cache.
          __builtin_prefetch(to + (kRows + m) * kWidth + k * kLanes, 1);
        }
      }
      MultiplyAdd<kRows, kVectors>(a + row * row_stride, row_stride, step, steps, b, kWidth, sums);
#pragma GCC unroll 8
      for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
        for (int k = 0; k < kVectors; ++k) Store(to + m * kWidth + k * kLanes, sums[m][k]);
      }
    }
  };

  // One slab of `vectors` vectors.
  template <int kVectors = 1>
  static void AddSlab(int64_t vectors, int64_t rows, const float* a, int64_t row_stride,
                      int64_t step, int64_t steps, const float* b, float* out) {
    if constexpr (kVectors < kSlabVectors) {
      if (vectors > kVectors) {
        return AddSlab<kVectors + 1>(vectors, rows, a, row_stride, step, steps, b, out);
      }
    }
    ForTiles<kGradientRows>(rows, GradientTile<kVectors>{a, row_stride, step, steps, b, out});
  }

  // The steps over words of columns: with two terms a word holds columns a vector apart.
  static int64_t ColumnSteps(int64_t columns) {
    const int64_t rest = columns % (kTerms * kLanes);
    return columns / (kTerms * kLanes) * kLanes + (rest < kLanes ? rest : kLanes);
  }

  static void AddRows(const float* e, int64_t rows, const float* slabs, int64_t columns,
                      int64_t dim, int64_t block_rows, float* out) {
    constexpr int kWidth = kPanelWidth / kTerms;
    for (int64_t k = 0; k < DimVectors(dim); k += kSlabVectors) {
      AddSlab(DimVectors(dim) - k, rows, e, kWidth, 1, ColumnSteps(columns),
              slabs + k * kLanes * kWidth, out + k * kLanes * block_rows);
    }
  }

  static void AddColumns(const float* panel, int64_t rows, const float* q, int64_t columns,
                         int64_t dim, int64_t block_rows, float* out) {
    for (int64_t k = 0; k < DimVectors(dim); k += kSlabVectors) {
      AddSlab(DimVectors(dim) - k, columns, panel, 1, kPanelWidth, (rows + kTerms - 1) / kTerms,
              q + k * kLanes * block_rows / kTerms, out + k * kLanes * kPanelWidth);
    }
  }
};

}  // namespace
}  // namespace torii::kernels::cpu
