// One pass of the fused loss over several tiles, against the definition in float64.
#include "kernels/cuda/softmax/softmax_pass.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Problem {
  int dim;
  int64_t rows, columns, splits;
  std::vector<uint16_t> x, y;
  std::vector<float> row_offset, column_offset;
  std::vector<uint32_t> hidden_begin;
  std::vector<uint32_t> hidden;

  bool IsHidden(int64_t i, int64_t j) const { return (i * 31 + j * 17) % 13 == 0; }
};

std::vector<float> Uniform(int64_t n, const char* purpose) {
  std::vector<float> out;
  const RandomStream random(2, purpose);
  for (int64_t i = 0; i < n; ++i) {
    out.push_back(static_cast<float>(random.Uniform(static_cast<uint64_t>(i)) * 2 - 1));
  }
  return out;
}

std::vector<uint16_t> Rounded(const std::vector<float>& x) {
  std::vector<uint16_t> out;
  for (const float number : x) out.push_back(static_cast<uint16_t>(RoundToBf16(number)));
  return out;
}

// Every tile of columns is higher than the one before by `rise`; some columns do not exist.
Problem MakeProblem(int dim, int64_t row_tiles, int64_t column_tiles, int64_t splits, float rise) {
  Problem p{dim, row_tiles * kRowTile, column_tiles * kColumnTile, splits, {}, {}, {}, {}, {0}, {}};
  p.x = Rounded(Uniform(p.rows * dim, "x"));
  p.y = Rounded(Uniform(p.columns * dim, "y"));
  p.row_offset = Uniform(p.rows, "row");
  p.column_offset = Uniform(p.columns, "column");
  for (int64_t j = 0; j < p.columns; ++j) {
    float& offset = p.column_offset[static_cast<size_t>(j)];
    offset = j % 9 == 4 ? -kInfinity : offset + rise * static_cast<float>(j / kColumnTile);
  }
  for (int64_t i = 0; i < p.rows; i += kRowTile) {
    for (int64_t j = 0; j < p.columns; j += kColumnTile) {
      for (int64_t r = 0; r < kRowTile; ++r) {
        for (int64_t c = 0; c < kColumnTile; ++c) {
          if (p.IsHidden(i + r, j + c)) {
            p.hidden.push_back(static_cast<uint32_t>(r << kColumnBits | c));
          }
        }
      }
      p.hidden_begin.push_back(static_cast<uint32_t>(p.hidden.size()));
    }
  }
  return p;
}

double ValueOf(uint16_t bits) { return static_cast<double>(FloatOfBits(uint32_t{bits} << 16)); }

// The logarithm (base 2) of each row's sum, and the mean of y under its exponentials.
struct Sums {
  std::vector<double> log_sum, mean;
};

Sums Expected(const Problem& p, bool finds_shifts) {
  Sums out;
  for (int64_t i = 0; i < p.rows; ++i) {
    std::vector<double> exponent;
    double most = -1e300;
    for (int64_t j = 0; j < p.columns; ++j) {
      double e = static_cast<double>(p.column_offset[static_cast<size_t>(j)]);
      if (!finds_shifts) e += static_cast<double>(p.row_offset[static_cast<size_t>(i)]);
      for (int d = 0; d < p.dim; ++d) {
        e += ValueOf(p.x[static_cast<size_t>(i * p.dim + d)]) *
             ValueOf(p.y[static_cast<size_t>(j * p.dim + d)]);
      }
      exponent.push_back(p.IsHidden(i, j) ? -1e300 : e);
      most = std::max(most, exponent.back());
    }
    double sum = 0;
    for (double& e : exponent) sum += e = std::exp2(e - most);
    out.log_sum.push_back(most + std::log2(sum));
    for (int d = 0; d < p.dim; ++d) {
      double mean = 0;
      for (int64_t j = 0; j < p.columns; ++j) {
        mean += exponent[static_cast<size_t>(j)] / sum *
                ValueOf(p.y[static_cast<size_t>(j * p.dim + d)]);
      }
      out.mean.push_back(mean);
    }
  }
  return out;
}

// With row offsets a pass has no sums of its own: its means are those under the sums of `want`.
Sums Run(const Problem& p, bool finds_shifts, const Sums& want) {
  const auto size = static_cast<size_t>(p.splits * p.rows);
  std::vector<float> out(size * static_cast<size_t>(p.dim), NAN), sum(size, NAN), shift(size, NAN);
  RunPass(p.dim, {.x = p.x.data(),
                  .y = p.y.data(),
                  .row_offset = finds_shifts ? nullptr : p.row_offset.data(),
                  .column_offset = p.column_offset.data(),
                  .hidden = {p.hidden_begin.data(), p.hidden.data()},
                  .rows = p.rows,
                  .columns = p.columns,
                  .splits = p.splits,
                  .out = out.data(),
                  .sum = finds_shifts ? sum.data() : nullptr,
                  .shift = finds_shifts ? shift.data() : nullptr});
  if (!finds_shifts) {
    std::fill(sum.begin(), sum.end(), 0.0F);
    std::fill(shift.begin(), shift.end(), 0.0F);
  }
  Sums merged;
  for (int64_t i = 0; i < p.rows; ++i) {
    double most = -1e300,
           total = finds_shifts ? 0 : std::exp2(want.log_sum[static_cast<size_t>(i)]);
    std::vector<double> mean(static_cast<size_t>(p.dim), 0);
    for (int64_t s = 0; s < p.splits; ++s) {
      most = std::max(most, static_cast<double>(shift[static_cast<size_t>(s * p.rows + i)]));
    }
    for (int64_t s = 0; s < p.splits; ++s) {
      const auto row = static_cast<size_t>(s * p.rows + i);
      const double factor = std::exp2(static_cast<double>(shift[row]) - most);
      total += factor * static_cast<double>(sum[row]);
      for (size_t d = 0; d < mean.size(); ++d) {
        mean[d] += factor * static_cast<double>(out[row * mean.size() + d]);
      }
    }
    merged.log_sum.push_back(most + std::log2(total));
    for (const double x : mean) merged.mean.push_back(x / total);
  }
  return merged;
}

void ExpectEqualsTheDefinition(const Problem& p, bool finds_shifts) {
  const Sums want = Expected(p, finds_shifts);
  for (const auto order : {emulation::Order::kForward, emulation::Order::kBackward}) {
    emulation::SetOrder(order);
    const Sums got = Run(p, finds_shifts, want);
    emulation::SetOrder(emulation::Order::kForward);
    for (size_t i = 0; i < want.log_sum.size(); ++i) {
      ASSERT_NEAR(got.log_sum[i], want.log_sum[i], 1e-5 * (1 + std::fabs(want.log_sum[i]))) << i;
    }
    // Exponentials are rounded to 8 bits before they meet y.
    for (size_t i = 0; i < want.mean.size(); ++i) {
      ASSERT_NEAR(got.mean[i], want.mean[i], 4e-3) << i;
    }
  }
}

TEST(SoftmaxPassTest, SeveralTilesASplitEqualTheDefinitionForEveryWidth) {
  for (const int dim : {16, 32, 64, 128, 256}) {
    SCOPED_TRACE("dim " + std::to_string(dim));
    ExpectEqualsTheDefinition(MakeProblem(dim, 1, 3, 1, 0.5F), /*finds_shifts=*/true);
    ExpectEqualsTheDefinition(MakeProblem(dim, 1, 3, 1, 0.5F), /*finds_shifts=*/false);
    if (HasFatalFailure()) return;
  }
}

TEST(SoftmaxPassTest, ShiftsFollowExponentsThatRiseAndFall) {
  for (const float rise : {6.0F, 20.0F, 300.0F, -300.0F}) {
    SCOPED_TRACE("rise " + std::to_string(rise));
    ExpectEqualsTheDefinition(MakeProblem(16, 1, 4, 1, rise), /*finds_shifts=*/true);
    if (HasFatalFailure()) return;
  }
}

TEST(SoftmaxPassTest, SplitsAndTilesOfRowsAreApart) {
  ExpectEqualsTheDefinition(MakeProblem(16, 2, 5, 2, 20.0F), /*finds_shifts=*/true);
  ExpectEqualsTheDefinition(MakeProblem(16, 2, 5, 2, 0.5F), /*finds_shifts=*/false);
}

TEST(SoftmaxPassTest, SplitsFollowFromTheSizes) {
  EXPECT_EQ(SplitsOf(64, 128, 64), 1);
  EXPECT_EQ(SplitsOf(64, 128, 512), 2);
  EXPECT_EQ(SplitsOf(64, 16384, 16384), 2);
  EXPECT_EQ(SplitsOf(64, 65536, 16384), 1);
  EXPECT_EQ(PaddedDim(1), 16);
  EXPECT_EQ(PaddedDim(65), 128);
  EXPECT_EQ(PaddedDim(257), 0);
}

}  // namespace
}  // namespace torii::kernels::cuda
