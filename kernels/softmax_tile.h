// The softmax kernels, written once for every kind of factor (softmax_terms.h); compiled by
// softmax_{baseline,avx2,avx512,avx512bf16}.cc.
#pragma once

#include "kernels/softmax_terms.h"

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

  static bool AnyAbove(const float* panel, int64_t rows, const float* limit) {
    Ints above{};
    for (int64_t r = 0; r < rows; ++r) {
      const Floats most = Broadcast(limit[r]);
#pragma GCC unroll 8
      for (int k = 0; k < kPanelVectors; ++k) {
        above |= Load(panel + r * kPanelWidth + k * kLanes) > most;
      }
    }
    int32_t any = 0;
    for (int lane = 0; lane < kLanes; ++lane) any |= above[lane];
    return any != 0;
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

  // 2^x for x below 127 with a relative error below 3e-7: x = n + r with n whole and |r| <= 1/2, a
  // polynomial for 2^r (minimax of degree 5), n added to the exponent. 0 below 2^-125; NaN stays
  // NaN.
  [[gnu::always_inline]] static Floats Exp2(Floats x) {
    const Floats round = Broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to whole numbers
    const Floats rounded = x + round;
    const Floats r = x - (rounded - round);
    Floats p = r * 0.00132764712F + 0.00967554162F;
    p = p * r + 0.0555071328F;
    p = p * r + 0.240221197F;
    p = p * r + 0.693146967F;
    p = p * r + 1.00000007F;
    const Bits exponent = (reinterpret_cast<Bits>(rounded) - reinterpret_cast<Bits>(round)) << 23;
    const Floats power = reinterpret_cast<Floats>(reinterpret_cast<Bits>(p) + exponent);
    const Floats known = x < Broadcast(-125.0F) ? Floats{} : power;
    return x == x ? known : x;
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
        Ints e[2][kPanelVectors] = {};
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
          if (r + i == rows) break;
          Floats exact[kPanelVectors];
          RowExponentials(panel + (r + i) * kPanelWidth, shift[r + i], sums + (r + i) * kLanes,
                          exact);
#pragma GCC unroll 8
          for (int k = 0; k < kPanelVectors; ++k) e[i][k] = Terms::Rounded(exact[k]);
#pragma GCC unroll 8
          for (int k = 0; k < kPanelVectors; k += 2) {
            Terms::StoreWords(by_row + (r + i) * (kPanelWidth / 2) + k / 2 * kLanes,
                              Terms::Join(e[i][k], e[i][k + 1]));
          }
        }
#pragma GCC unroll 8
        for (int k = 0; k < kPanelVectors; ++k) {
          Terms::StoreWords(panel + r / 2 * kPanelWidth + k * kLanes,
                            Terms::Join(e[0][k], e[1][k]));
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
}  // namespace torii::kernels
