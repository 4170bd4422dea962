#include "model/softmax_tile.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace torii::model {

template <typename T>
SoftmaxTile<T>::SoftmaxTile(const SoftmaxProblem& problem, int64_t tile_rows)
    : problem_(problem), columns_(problem.v.size(0)), dim_(problem.v.size(1)) {
  const auto options = problem.v.options();
  scores_ = at::empty({tile_rows, columns_}, options);
  maximum_ = at::empty({tile_rows, 1}, options);
  others_ = at::empty({tile_rows, 1}, options);
  scale_ = at::empty({tile_rows, 1}, options);
  scaled_q_ = at::empty({tile_rows, dim_}, options);
  own_logit_.resize(static_cast<size_t>(tile_rows));
}

template <typename T>
double SoftmaxTile<T>::OwnLogit(int64_t row) const {
  const T* q = problem_.q.const_data_ptr<T>() + row * dim_;
  const int64_t positive = problem_.positive.const_data_ptr<int64_t>()[row];
  const T* v = problem_.v.const_data_ptr<T>() + positive * dim_;
  double dot = 0;
  for (int64_t d = 0; d < dim_; ++d) dot += static_cast<double>(q[d]) * static_cast<double>(v[d]);
  return dot / problem_.temperature +
         static_cast<double>(problem_.positive_offset.const_data_ptr<T>()[row]);
}

template <typename T>
void SoftmaxTile<T>::HideColumns(Range rows, at::Tensor& scores) {
  constexpr T kHidden = -std::numeric_limits<T>::infinity();
  const int64_t* positive = problem_.positive.const_data_ptr<int64_t>();
  const bool excludes = problem_.excluded_begin.defined();
  const int64_t* begin = excludes ? problem_.excluded_begin.const_data_ptr<int64_t>() : nullptr;
  const int64_t* excluded = excludes ? problem_.excluded.const_data_ptr<int64_t>() : nullptr;
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    T* row = scores.mutable_data_ptr<T>() + (i - rows.begin) * columns_;
    row[positive[i]] = kHidden;
    if (!excludes) continue;
    for (int64_t e = begin[i]; e < begin[i + 1]; ++e) row[excluded[e]] = kHidden;
  }
}

// With the positive apart, sum = e_p + others, its loss is log(sum) - log(e_p) and its gradient P -
// 1 is -others / sum: exact however close P is to 1.
template <typename T>
bool SoftmaxTile<T>::FinishRows(Range rows, at::Tensor& scores, SoftmaxPart* part) {
  const int64_t* positive = problem_.positive.const_data_ptr<int64_t>();
  const T* positive_offset = problem_.positive_offset.const_data_ptr<T>();
  const T* target_offset = problem_.target_offset.const_data_ptr<T>();
  const T* weight = problem_.weight.const_data_ptr<T>();
  const T* maximum = maximum_.const_data_ptr<T>();
  const T* others = others_.const_data_ptr<T>();
  T* scale = scale_.mutable_data_ptr<T>();
  double loss = 0;
  for (int64_t r = 0; r < rows.size(); ++r) {
    const int64_t i = rows.begin + r;
    const double own = own_logit_[static_cast<size_t>(r)];
    const double below = static_cast<double>(maximum[r]) - own;
    const double own_exp = std::exp(-below), other = static_cast<double>(others[r]);
    const double offsets =
        static_cast<double>(positive_offset[i]) - static_cast<double>(target_offset[i]);
    // log(1 + x) keeps the small losses of rows that are nearly right.
    const double row_loss =
        (below == 0 ? std::log1p(other) : below + std::log(own_exp + other)) + offsets;
    if (!std::isfinite(row_loss)) {
      part->bad = {i, row_loss, own, static_cast<double>(maximum[r])};
      return false;
    }
    loss += static_cast<double>(weight[i]) * row_loss;
    scale[r] =
        static_cast<T>(static_cast<double>(weight[i]) / (problem_.temperature * (own_exp + other)));
    scores.mutable_data_ptr<T>()[r * columns_ + positive[i]] = -others[r];
  }
  part->loss += loss;
  return true;
}

template <typename T>
void SoftmaxTile<T>::Run(Range rows, at::Tensor& q_grad, SoftmaxPart* part) {
  const int64_t n = rows.size();
  at::Tensor scores = scores_.narrow(0, 0, n), maximum = maximum_.narrow(0, 0, n);
  at::Tensor others = others_.narrow(0, 0, n), scaled_q = scaled_q_.narrow(0, 0, n);
  const at::Tensor q = problem_.q.narrow(0, rows.begin, n), scale = scale_.narrow(0, 0, n);

  at::addmm_out(scores, problem_.column_offset, q, problem_.v.t(), 1, 1 / problem_.temperature);
  HideColumns(rows, scores);
  at::amax_out(maximum, scores, 1, /*keepdim=*/true);
  T* row_maximum = maximum.mutable_data_ptr<T>();
  for (int64_t r = 0; r < n; ++r) {
    // Rounded to T like every other logit of the row.
    const T own = static_cast<T>(OwnLogit(rows.begin + r));
    own_logit_[static_cast<size_t>(r)] = static_cast<double>(own);
    row_maximum[r] = std::max(row_maximum[r], own);
  }
  scores.sub_(maximum).exp_();
  at::sum_out(others, scores, 1, /*keepdim=*/true);
  if (!FinishRows(rows, scores, part)) return;

  at::Tensor q_grad_rows = q_grad.narrow(0, rows.begin, n);
  at::mm_out(q_grad_rows, scores, problem_.v);
  q_grad_rows.mul_(scale);
  at::mul_out(scaled_q, q, scale);
  part->v_grad.addmm_(scores.t(), scaled_q);
}

template class SoftmaxTile<float>;
template class SoftmaxTile<double>;

}  // namespace torii::model
