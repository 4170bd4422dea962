// Softmax problems, their solution by the definition in long double, and the kernels' solution.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/cpu/softmax/softmax.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {

inline constexpr double kLog2E = 1.4426950408889634;
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Problem {
  int64_t b = 0, u = 0, dim = 0;
  double inverse_temperature = 1;
  SoftmaxPrecision precision = SoftmaxPrecision::kFloat32;
  std::vector<float> q, v, column_offset, positive_offset, target_offset, weight;
  std::vector<int64_t> positive, excluded_begin, excluded;
  std::vector<int64_t> row_begin;  // [b + 1] or empty: query i has row i alone

  int64_t rows() const { return static_cast<int64_t>(positive.size()); }
  int64_t QueryOf(int64_t row) const {
    if (row_begin.empty()) return row;
    return std::upper_bound(row_begin.begin(), row_begin.end(), row) - row_begin.begin() - 1;
  }
};

struct Result {
  std::vector<double> row_loss;
  std::vector<double> q_grad, v_grad;
  // Of the reference: sums of the magnitudes of the terms, which is what roundings are relative to.
  std::vector<double> loss_terms, q_terms, v_terms;
};

inline std::vector<float> Uniform(int64_t n, float low, float high, std::string_view purpose) {
  std::vector<float> out(static_cast<size_t>(n));
  const RandomStream random(17, purpose);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = low + (high - low) * static_cast<float>(random.Uniform(i));
  }
  return out;
}

// Every seventh column is removed unless it is a positive's; every third row excludes some columns,
// its own positive among them.
inline Problem MakeProblem(int64_t b, int64_t u, int64_t dim, double inverse_temperature,
                           const SoftmaxVariant& variant) {
  Problem p;
  p.precision = variant.precision;
  p.b = b;
  p.u = u;
  p.dim = dim;
  p.inverse_temperature = inverse_temperature;
  p.q = Uniform(b * dim, -1, 1, "q");
  p.v = Uniform(u * dim, -1, 1, "v");
  p.column_offset = Uniform(u, -4, 4, "column_offset");
  p.positive_offset = Uniform(b, -1, 1, "positive_offset");
  p.target_offset = Uniform(b, -1, 1, "target_offset");
  p.weight = Uniform(b, 0, 2.0F / static_cast<float>(std::max<int64_t>(b, 1)), "weight");
  const RandomStream random(19, "positive");
  p.excluded_begin.push_back(0);
  for (int64_t i = 0; i < b; ++i) {
    p.positive.push_back(random.Below(static_cast<uint64_t>(i), u));
    if (i % 3 == 0) {
      p.excluded.push_back(p.positive.back());
      for (uint64_t e = 0; e < 4; ++e) {
        p.excluded.push_back(random.Below(static_cast<uint64_t>(i) * 8 + e + 1000, u));
      }
    }
    p.excluded_begin.push_back(static_cast<int64_t>(p.excluded.size()));
  }
  for (int64_t j = 6; j < u; j += 7) p.column_offset[static_cast<size_t>(j)] = -kInfinity;
  return p;
}

inline bool IsExcluded(const Problem& p, int64_t i, int64_t j) {
  const auto begin = p.excluded.begin() + p.excluded_begin[static_cast<size_t>(i)];
  const auto end = p.excluded.begin() + p.excluded_begin[static_cast<size_t>(i) + 1];
  return std::find(begin, end, j) != end;
}

// To eight significant bits, ties to even.
inline float RoundToBfloat16(float x) {
  if (!std::isfinite(x)) return x;
  auto bits = std::bit_cast<uint32_t>(x);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  return std::bit_cast<float>(bits);
}

// q . v / tau; in bfloat16 of the rounded factors, of which the first is q / tau in base 2.
inline long double Dot(const Problem& p, int64_t i, int64_t j) {
  const bool rounded = p.precision == SoftmaxPrecision::kBfloat16;
  const auto scale = static_cast<float>(p.inverse_temperature * kLog2E);
  long double dot = 0;
  for (int64_t d = 0; d < p.dim; ++d) {
    const float q = p.q[static_cast<size_t>(i * p.dim + d)];
    const float v = p.v[static_cast<size_t>(j * p.dim + d)];
    dot += rounded ? static_cast<long double>(RoundToBfloat16(q * scale)) * RoundToBfloat16(v)
                   : static_cast<long double>(q) * v;
  }
  return rounded ? dot / kLog2E : dot * p.inverse_temperature;
}

// By the definition: every logit, then log-sum-exp, then the probabilities. 1 - P of the positive
// is the sum of the other probabilities: of a row that is nearly right the difference would have
// few digits left.
inline Result Reference(const Problem& p) {
  using Real = long double;
  Result out;
  out.q_grad.assign(p.q.size(), 0);
  out.v_grad.assign(p.v.size(), 0);
  out.q_terms = out.q_grad;
  out.v_terms = out.v_grad;
  for (int64_t n = 0; n < p.rows(); ++n) {
    const auto row = static_cast<size_t>(n);
    const int64_t i = p.QueryOf(n);
    std::vector<Real> z(static_cast<size_t>(p.u), -std::numeric_limits<Real>::infinity());
    for (int64_t j = 0; j < p.u; ++j) {
      const auto column = static_cast<size_t>(j);
      if (j == p.positive[row]) {
        z[column] = Dot(p, i, j) + p.positive_offset[row];
      } else if (!IsExcluded(p, i, j)) {
        z[column] = Dot(p, i, j) + p.column_offset[column];
      }
    }
    const Real largest = *std::max_element(z.begin(), z.end());
    Real sum = 0;
    Real others = 0;
    for (int64_t j = 0; j < p.u; ++j) {
      const Real e = std::exp(z[static_cast<size_t>(j)] - largest);
      sum += e;
      if (j != p.positive[row]) others += e;
    }
    const Real target = Dot(p, i, p.positive[row]) + p.target_offset[row];
    out.row_loss.push_back(static_cast<double>(largest + std::log(sum) - target));
    out.loss_terms.push_back(static_cast<double>(std::fabs(largest) + std::fabs(target) + 1));
    for (int64_t j = 0; j < p.u; ++j) {
      const Real slope = j == p.positive[row] ? -others / sum
                                              : std::exp(z[static_cast<size_t>(j)] - largest) / sum;
      const auto gradient = static_cast<double>(slope * p.weight[row] * p.inverse_temperature);
      for (int64_t d = 0; d < p.dim; ++d) {
        const auto q = static_cast<size_t>(i * p.dim + d);
        const auto v = static_cast<size_t>(j * p.dim + d);
        out.q_grad[q] += gradient * static_cast<double>(p.v[v]);
        out.v_grad[v] += gradient * static_cast<double>(p.q[q]);
        out.q_terms[q] += std::fabs(gradient * static_cast<double>(p.v[v]));
        out.v_terms[v] += std::fabs(gradient * static_cast<double>(p.q[q]));
      }
    }
  }
  return out;
}

// The rounding of float32 logits, which is also the relative error of their exponentials: half a
// unit in the last place of the largest sum of terms, times 4 for the steps of the sum, plus the
// sums over rows and columns.
inline double Tolerance(const Problem& p) {
  double largest = 0;
  for (int64_t i = 0; i < p.b; ++i) {
    for (int64_t j = 0; j < p.u; ++j) {
      if (std::isinf(p.column_offset[static_cast<size_t>(j)])) continue;
      double terms = 0;
      for (int64_t d = 0; d < p.dim; ++d) {
        terms += std::fabs(static_cast<double>(p.q[static_cast<size_t>(i * p.dim + d)]) *
                           static_cast<double>(p.v[static_cast<size_t>(j * p.dim + d)]));
      }
      largest = std::max(
          largest, terms * p.inverse_temperature +
                       std::fabs(static_cast<double>(p.column_offset[static_cast<size_t>(j)])));
    }
  }
  return 4 * std::ldexp(largest, -24) + 2e-6;
}

enum class Threads { kAtOnce, kOneByOne };

inline Result RunKernel(SoftmaxKernel& kernel, const Problem& p, int threads,
                        Threads run = Threads::kAtOnce) {
  std::vector<float> q_grad(p.q.size(), 77.0F);
  std::vector<float> v_grad(p.v.size(), 77.0F);
  Result out;
  out.row_loss.resize(p.positive.size());
  SoftmaxArgs args;
  args.q = p.q.data();
  args.v = p.v.data();
  args.column_offset = p.column_offset.data();
  args.row_begin = p.row_begin.empty() ? nullptr : p.row_begin.data();
  args.positive = p.positive.data();
  args.positive_offset = p.positive_offset.data();
  args.target_offset = p.target_offset.data();
  args.weight = p.weight.data();
  args.excluded_begin = p.excluded_begin.empty() ? nullptr : p.excluded_begin.data();
  args.excluded = p.excluded.data();
  args.b = p.b;
  args.u = p.u;
  args.dim = p.dim;
  args.inverse_temperature = p.inverse_temperature;
  args.q_grad = q_grad.data();
  args.row_loss = out.row_loss.data();
  args.v_grad = v_grad.data();
  kernel.Start(args, threads);
  std::vector<std::jthread> others;
  for (int k = 1; k < threads; ++k) {
    others.emplace_back([&kernel, k] { kernel.Run(k); });
    if (run == Threads::kOneByOne) others.back().join();
  }
  kernel.Run(0);
  others.clear();
  out.q_grad.assign(q_grad.begin(), q_grad.end());
  out.v_grad.assign(v_grad.begin(), v_grad.end());
  return out;
}

inline Result RunKernel(const Problem& p, const SoftmaxVariant& variant, int threads = 1) {
  SoftmaxKernel kernel(variant.precision, &variant);
  return RunKernel(kernel, p, threads);
}

// What gets lost where exponentials leave the range of float32 (2^-125 of the row's largest), over
// all rows.
inline constexpr double kUnderflow = 1e-35;

// |got - want| <= tolerance * terms, element by element.
inline void ExpectClose(const std::vector<double>& got, const std::vector<double>& want,
                        const std::vector<double>& terms, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::fabs(got[i] - want[i]), tolerance * terms[i] + kUnderflow)
        << what << " at " << i << ": " << got[i] << " instead of " << want[i];
  }
}

inline void ExpectEqualsReference(const Problem& problem, const Result& got) {
  const double tolerance = Tolerance(problem);
  const Result want = Reference(problem);
  const std::string where = "b " + std::to_string(problem.b) + ", u " + std::to_string(problem.u) +
                            ", dim " + std::to_string(problem.dim) + ": ";
  // In bfloat16 both factors of a term of the gradients are rounded, by 2^-8 at most.
  const bool rounded = problem.precision == SoftmaxPrecision::kBfloat16;
  const double factors = rounded ? 2.0 / 256 + 1.0 / 65536 : 0;
  ExpectClose(got.row_loss, want.row_loss, want.loss_terms, tolerance, where + "loss");
  ExpectClose(got.q_grad, want.q_grad, want.q_terms, tolerance + factors, where + "q_grad");
  ExpectClose(got.v_grad, want.v_grad, want.v_terms, tolerance + factors, where + "v_grad");
}

}  // namespace torii::kernels::cpu
