#include "kernels/cpu/linear.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/cpu/pool_rows.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Written where a kernel must write, and around where it must not.
constexpr float kUntouched = -12345.0F;

std::vector<float> Uniform(int64_t n, std::string_view purpose) {
  std::vector<float> out(static_cast<size_t>(n));
  const RandomStream random(23, purpose);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(random.Uniform(i)) * 2 - 1;
  return out;
}

size_t At(int64_t i) { return static_cast<size_t>(i); }

struct Problem {
  Problem(std::vector<int64_t> layer_widths, int64_t rows, bool scaled)
      : widths(std::move(layer_widths)), n(rows), normalize(scaled) {
    for (size_t l = 0; l + 1 < widths.size(); ++l) {
      weights.push_back(Uniform(widths[l] * widths[l + 1], "weight" + std::to_string(l)));
      biases.push_back(Uniform(widths[l + 1], "bias" + std::to_string(l)));
    }
    x = Uniform(n * widths.front(), "x");
    y_grad = Uniform(n * widths.back(), "y_grad");
  }
  std::vector<LinearLayer> layers() const {
    std::vector<LinearLayer> out;
    for (size_t l = 0; l < weights.size(); ++l) {
      out.push_back({weights[l].data(), biases[l].data(), widths[l], widths[l + 1]});
    }
    return out;
  }
  std::vector<int64_t> widths;
  int64_t n;
  bool normalize;
  std::vector<std::vector<float>> weights, biases;
  std::vector<float> x, y_grad;
};

template <typename T>
struct Result {
  std::vector<T> y, x_grad;
  std::vector<std::vector<T>> weight_grad, bias_grad;
};

// out [n, columns] = a [n, steps] times b, where b(step, column) says the entry.
template <typename Entry>
std::vector<double> Times(const std::vector<double>& a, int64_t n, int64_t steps, int64_t columns,
                          const Entry& b) {
  std::vector<double> out(At(n * columns), 0.0);
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t s = 0; s < steps; ++s)
        out[At(r * columns + c)] += a[At(r * steps + s)] * b(s, c);
    }
  }
  return out;
}

// The gradient through y = z / |z|, by its definition.
std::vector<double> ThroughLength(const std::vector<double>& z, const std::vector<double>& y_grad,
                                  int64_t n, int64_t width) {
  std::vector<double> out(z.size(), 0.0);
  for (int64_t r = 0; r < n; ++r) {
    double square = 0, along = 0;
    for (int64_t d = r * width; d < (r + 1) * width; ++d) {
      square += z[At(d)] * z[At(d)];
      along += z[At(d)] * y_grad[At(d)];
    }
    if (std::sqrt(square) <= 1e-12) continue;
    for (int64_t d = r * width; d < (r + 1) * width; ++d) {
      out[At(d)] = (y_grad[At(d)] - z[At(d)] * along / square) / std::sqrt(square);
    }
  }
  return out;
}

Result<double> Reference(const Problem& p) {
  const size_t layers = p.weights.size();
  std::vector<std::vector<double>> inputs = {{p.x.begin(), p.x.end()}};  // of each layer, then z
  for (size_t l = 0; l < layers; ++l) {
    const int64_t in = p.widths[l], out = p.widths[l + 1];
    std::vector<double> z = Times(inputs[l], p.n, in, out, [&](int64_t s, int64_t c) {
      return static_cast<double>(p.weights[l][At(c * in + s)]);
    });
    for (int64_t i = 0; i < p.n * out; ++i) {
      z[At(i)] += static_cast<double>(p.biases[l][At(i % out)]);
      if (l + 1 < layers) z[At(i)] = std::max(z[At(i)], 0.0);
    }
    inputs.push_back(std::move(z));
  }
  Result<double> result;
  result.y = inputs.back();
  std::vector<double> g(p.y_grad.begin(), p.y_grad.end());
  if (p.normalize) {
    const int64_t width = p.widths.back();
    g = ThroughLength(inputs.back(), g, p.n, width);
    for (int64_t r = 0; r < p.n; ++r) {
      double square = 0;
      for (int64_t d = 0; d < width; ++d) square += std::pow(result.y[At(r * width + d)], 2);
      const double length = std::max(std::sqrt(square), 1e-12);
      for (int64_t d = 0; d < width; ++d) result.y[At(r * width + d)] /= length;
    }
  }
  result.weight_grad.resize(layers);
  result.bias_grad.resize(layers);
  for (size_t l = layers; l-- > 0;) {
    const int64_t in = p.widths[l], out = p.widths[l + 1];
    result.weight_grad[l].assign(At(in * out), 0.0);
    result.bias_grad[l].assign(At(out), 0.0);
    for (int64_t r = 0; r < p.n; ++r) {
      for (int64_t o = 0; o < out; ++o) {
        result.bias_grad[l][At(o)] += g[At(r * out + o)];
        for (int64_t i = 0; i < in; ++i) {
          result.weight_grad[l][At(o * in + i)] += g[At(r * out + o)] * inputs[l][At(r * in + i)];
        }
      }
    }
    g = Times(g, p.n, out, in, [&](int64_t s, int64_t c) {
      return static_cast<double>(p.weights[l][At(s * in + c)]);
    });
    for (size_t i = 0; l > 0 && i < g.size(); ++i) g[i] = inputs[l][i] > 0 ? g[i] : 0;
  }
  result.x_grad = g;
  return result;
}

// The kernels over ranges of the rows: forward in one, backward in `parts`.
Result<float> RunStack(const Problem& p, const LinearVariant& variant, int64_t parts = 1) {
  const LinearStack stack(p.widths.front(), p.layers(),
                          {.normalize = p.normalize, .variant = &variant});
  Result<float> result;
  result.y.assign(At(p.n * p.widths.back()), kUntouched);
  result.x_grad.assign(p.x.size(), kUntouched);
  std::vector<float> kept(At(p.n * stack.kept_width()), kNaN);
  stack.Forward({.x = p.x.data(), .y = result.y.data(), .n = p.n, .kept = kept.data()}, 0, p.n);
  std::vector<std::vector<float>> sums;
  std::vector<const float*> pointers;
  for (int64_t part = 0; part < parts; ++part) {
    sums.emplace_back(At(stack.sums_size()), 0.0F);
    stack.Backward({.x = p.x.data(),
                    .y = result.y.data(),
                    .n = p.n,
                    .kept = kept.data(),
                    .y_grad = p.y_grad.data(),
                    .x_grad = result.x_grad.data(),
                    .sums = sums.back().data()},
                   p.n * part / parts, p.n * (part + 1) / parts);
  }
  for (const auto& sum : sums) pointers.push_back(sum.data());
  for (size_t l = 0; l < p.weights.size(); ++l) {
    const int64_t out = p.widths[l + 1];
    result.weight_grad.emplace_back(p.weights[l].size(), 0.0F);
    result.bias_grad.emplace_back(At(out), 0.0F);
    for (const auto& [begin, end] : {std::pair{int64_t{0}, out / 3}, {out / 3, out}}) {
      stack.AddSums(l, pointers, begin, end, result.weight_grad[l].data(),
                    result.bias_grad[l].data());
    }
  }
  return result;
}

void ExpectNear(const std::vector<float>& actual, const std::vector<double>& expected,
                const char* what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 1e-6;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], 3e-6 * largest) << what << " " << i;
  }
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
  });
}

class LinearVariants : public ::testing::TestWithParam<const LinearVariant*> {};

TEST_P(LinearVariants, EqualTheReferenceInEverySize) {
  const std::vector<std::vector<int64_t>> widths = {
      {64, 128, 64}, {1, 1},       {3, 5},  {7},          {16},        {17, 33, 1},
      {63, 65, 96},  {97, 48, 31}, {2, 80}, {5, 9, 7, 6}, {16, 32, 80}};
  for (const auto& w : widths) {
    for (const int64_t n : {0, 1, 2, 3, 5, 7, 96, 97, 211}) {
      for (const bool normalize : {false, true}) {
        SCOPED_TRACE(::testing::PrintToString(w) + " rows " + std::to_string(n) +
                     (normalize ? " normalized" : ""));
        const Problem p(w, n, normalize);
        const Result<double> expected = Reference(p);
        const Result<float> actual = RunStack(p, *GetParam());
        ExpectNear(actual.y, expected.y, "y");
        // Rows of width 1 that are scaled to length 1 have no gradient but rounding.
        if (normalize && w.back() == 1) continue;
        ExpectNear(actual.x_grad, expected.x_grad, "x_grad");
        for (size_t l = 0; l + 1 < w.size(); ++l) {
          ExpectNear(actual.weight_grad[l], expected.weight_grad[l], "weight_grad");
          ExpectNear(actual.bias_grad[l], expected.bias_grad[l], "bias_grad");
        }
      }
    }
  }
}

TEST_P(LinearVariants, RowsDoNotDependOnOtherRowsOrOnTheRanges) {
  for (const auto& w : {std::vector<int64_t>{64, 128, 64}, {13, 21, 10}}) {
    const Problem whole(w, 103, true);
    const Result<float> all = RunStack(whole, *GetParam());
    const Result<float> parted = RunStack(whole, *GetParam(), 5);
    EXPECT_TRUE(SameBits(all.x_grad, parted.x_grad));
    for (const int64_t first : {0, 1, 5, 100, 102}) {
      Problem part(w, 103 - first, true);
      part.x.assign(whole.x.begin() + first * w.front(), whole.x.end());
      part.y_grad.assign(whole.y_grad.begin() + first * w.back(), whole.y_grad.end());
      const Result<float> rest = RunStack(part, *GetParam());
      EXPECT_TRUE(SameBits(rest.y, {all.y.begin() + first * w.back(), all.y.end()})) << first;
      EXPECT_TRUE(SameBits(rest.x_grad, {all.x_grad.begin() + first * w.front(), all.x_grad.end()}))
          << first;
    }
  }
}

TEST_P(LinearVariants, ForwardWithoutKeepingGivesTheSame) {
  const Problem p({20, 40, 24, 9}, 150, true);
  const LinearStack stack(20, p.layers(),
                          {.normalize = true, .backward = false, .variant = GetParam()});
  std::vector<float> y(At(150 * 9), kUntouched);
  stack.Forward({.x = p.x.data(), .y = y.data(), .n = 150}, 0, 150);
  EXPECT_TRUE(SameBits(y, RunStack(p, *GetParam()).y));
}

TEST_P(LinearVariants, WritesItsRowsAndNothingElse) {
  const Problem p({11, 18, 13}, 40, true);
  const LinearStack stack(11, p.layers(), {.normalize = true, .variant = GetParam()});
  std::vector<float> y(At(40 * 13), kUntouched), x_grad(At(40 * 11), kUntouched);
  std::vector<float> kept(At(40 * stack.kept_width())), sums(At(stack.sums_size()));
  stack.Forward({.x = p.x.data(), .y = y.data(), .n = 40, .kept = kept.data()}, 7, 19);
  stack.Backward({.x = p.x.data(),
                  .y = y.data(),
                  .n = 40,
                  .kept = kept.data(),
                  .y_grad = p.y_grad.data(),
                  .x_grad = x_grad.data(),
                  .sums = sums.data()},
                 7, 19);
  for (int64_t r = 0; r < 40; ++r) {
    const bool inside = r >= 7 && r < 19;
    for (int64_t d = 0; d < 13; ++d) EXPECT_EQ(y[At(r * 13 + d)] != kUntouched, inside) << r;
    for (int64_t d = 0; d < 11; ++d) EXPECT_EQ(x_grad[At(r * 11 + d)] != kUntouched, inside) << r;
  }
}

TEST_P(LinearVariants, ZeroRowsStayZeroAndPassNoGradient) {
  Problem p({12, 12}, 9, true);
  std::fill(p.biases[0].begin(), p.biases[0].end(), 0.0F);
  std::fill(p.x.begin() + 24, p.x.begin() + 36, 0.0F);
  std::fill(p.x.begin() + 48, p.x.begin() + 60, 1e-15F);
  const Result<float> result = RunStack(p, *GetParam());
  for (int64_t d = 0; d < 12; ++d) {
    EXPECT_EQ(result.y[At(24 + d)], 0);
    EXPECT_LT(std::abs(result.y[At(48 + d)]), 0.1F);
    EXPECT_EQ(result.x_grad[At(24 + d)], 0);
    EXPECT_EQ(result.x_grad[At(48 + d)], 0);
  }
}

TEST_P(LinearVariants, NotANumberAndInfinityAreNotHidden) {
  for (const float bad : {kNaN, kInfinity}) {
    Problem p({10, 24, 14}, 20, false);
    p.x[At(5 * 10 + 3)] = bad;
    const Result<float> result = RunStack(p, *GetParam());
    for (int64_t r = 0; r < 20; ++r) {
      bool finite = true;
      for (int64_t d = 0; d < 14; ++d) finite = finite && std::isfinite(result.y[At(r * 14 + d)]);
      EXPECT_EQ(finite, r != 5) << r;
    }
    p.normalize = true;
    EXPECT_TRUE(std::isnan(RunStack(p, *GetParam()).y[At(5 * 14)]));
  }
  Problem p({10, 24, 14}, 20, false);
  p.y_grad[At(5 * 14)] = kNaN;
  const Result<float> result = RunStack(p, *GetParam());
  EXPECT_TRUE(std::isnan(result.x_grad[At(5 * 10)]));
  EXPECT_TRUE(std::isnan(result.weight_grad[1][0]));
  EXPECT_TRUE(std::isfinite(result.x_grad[At(4 * 10)]));
}

TEST_P(LinearVariants, LargeAndSmallValuesKeepTheirDirection) {
  for (const float scale : {1e15F, 1e-8F}) {
    Problem p({24}, 30, true);
    const std::vector<double> expected = Reference(p).y;
    for (float& x : p.x) x *= scale;
    ExpectNear(RunStack(p, *GetParam()).y, expected, "y");
  }
}

INSTANTIATE_TEST_SUITE_P(All, LinearVariants, ::testing::ValuesIn(RunnableLinearVariants()),
                         [](const auto& variant) { return std::string(variant.param->name); });

TEST(PoolRowsTest, AddsUpTheRowsOfEachList) {
  for (const int64_t width : {1, 3, 64, 65}) {
    const int64_t stride = width + 2;
    const std::vector<float> rows = Uniform(50 * stride, "rows");
    const RowTable table{rows.data(), width, stride};
    const RandomStream random(29, "index");
    std::vector<int64_t> index, begin = {0};
    for (int64_t i = 0; i < 37; ++i) {
      for (int64_t k = 0; k < i % 5; ++k) {
        index.push_back(random.Below(static_cast<uint64_t>(index.size()), 50));
      }
      begin.push_back(static_cast<int64_t>(index.size()));
    }
    const std::vector<float> weight = Uniform(begin.back(), "weight");
    std::vector<float> out(At(37 * width), kUntouched);
    const RowLists lists{.index = index.data(), .begin = begin.data(), .weight = weight.data()};
    PoolRows(table, lists, 0, 20, out.data());
    PoolRows(table, lists, 20, 37, out.data());
    for (int64_t i = 0; i < 37; ++i) {
      for (int64_t d = 0; d < width; ++d) {
        double expected = 0;
        for (int64_t k = begin[At(i)]; k < begin[At(i) + 1]; ++k) {
          expected += static_cast<double>(weight[At(k)]) *
                      static_cast<double>(rows[At(index[At(k)] * stride + d)]);
        }
        EXPECT_NEAR(static_cast<double>(out[At(i * width + d)]), expected, 1e-6);
      }
    }
    // Without lists: copies.
    std::vector<float> picked(index.size() * At(width), kUntouched);
    PoolRows(table, {.index = index.data()}, 0, begin.back(), picked.data());
    for (int64_t k = 0; k < begin.back() * width; ++k) {
      EXPECT_EQ(picked[At(k)], rows[At(index[At(k / width)] * stride + k % width)]);
    }
  }
}

}  // namespace
}  // namespace torii::kernels::cpu
