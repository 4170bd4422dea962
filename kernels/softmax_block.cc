#include "kernels/softmax_block.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace torii::kernels {
namespace {

constexpr double kLog2E = 1.4426950408889634;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Partial sums of exponentials in float are short: this many panels, then they go into doubles.
constexpr int64_t kPanelsOfASum = 32;

double Sum(const float* x, int64_t n) {
  double sums[4] = {};
  for (int64_t i = 0; i < n; ++i) sums[i % 4] += static_cast<double>(x[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

void SoftmaxBlock::Prepare() {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t rows = kernel_.block_rows_, dim = kernel_.padded_dim_;
  panel_size_ = rows * k.panel_width;
  q_.Reserve(rows * dim / k.terms);
  scaled_q_.Reserve(rows * dim);
  logits_.Reserve(kernel_.panels_ * panel_size_);
  if (k.terms > 1) by_row_.Reserve(panel_size_ / k.terms);
  q_sums_.Reserve(rows * dim);
  lanes_.Reserve(rows * k.lanes);
  const auto size = static_cast<size_t>(rows);
  shift_.resize(size);
  scale_.resize(size);
  own_.resize(size);
  others_.resize(size);
}

int64_t SoftmaxBlock::ColumnsOf(int64_t panel) const {
  const int64_t width = kernel_.kernels_.panel_width;
  return std::min(width, args().u - panel * width);
}

// The positive is kept apart from the other columns: with sum = e_p + others its loss is
// log1p(others / e_p) and its gradient P - 1 is -others / sum, both exact however close P is to 1.
void SoftmaxBlock::Compute(int64_t begin, int64_t rows) {
  const SoftmaxVariant& k = kernel_.kernels_;
  begin_ = begin;
  rows_ = rows;
  const float* q = args().q + begin * args().dim;
  k.pack_rows(q, rows, args().dim, static_cast<float>(args().inverse_temperature * kLog2E),
              q_.get());
  CollectHidden();
  ComputeLogits();
  ComputeExponentials();
  for (int64_t r = 0; r < rows; ++r) FinishRow(r);
  k.scale_rows(q, rows, args().dim, scale_.data(), kernel_.block_rows_, scaled_q_.get());
}

// Entries of each panel to be hidden: those of the positives and of the excluded columns.
void SoftmaxBlock::CollectHidden() {
  const int64_t width = kernel_.kernels_.panel_width;
  const auto for_each = [&](const auto& visit) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t row = begin_ + r;
      visit(r, args().positive[row]);
      if (args().excluded_begin == nullptr) continue;
      for (int64_t e = args().excluded_begin[row]; e < args().excluded_begin[row + 1]; ++e) {
        visit(r, args().excluded[e]);
      }
    }
  };
  hidden_begin_.assign(static_cast<size_t>(kernel_.panels_) + 1, 0);
  for_each(
      [&](int64_t, int64_t column) { ++hidden_begin_[static_cast<size_t>(column / width) + 1]; });
  for (size_t p = 1; p < hidden_begin_.size(); ++p) hidden_begin_[p] += hidden_begin_[p - 1];
  hidden_.resize(static_cast<size_t>(hidden_begin_.back()));
  for_each([&](int64_t r, int64_t column) {
    const auto place = hidden_begin_[static_cast<size_t>(column / width)]++;
    hidden_[static_cast<size_t>(place)] = {static_cast<int32_t>(r),
                                           static_cast<int32_t>(column % width)};
  });
  // Each entry is now the end of its panel: shift them back to the beginnings.
  std::copy_backward(hidden_begin_.begin(), hidden_begin_.end() - 1, hidden_begin_.end());
  hidden_begin_[0] = 0;
}

void SoftmaxBlock::HideEntries(int64_t panel, float* logits) const {
  const auto p = static_cast<size_t>(panel);
  for (int64_t h = hidden_begin_[p]; h < hidden_begin_[p + 1]; ++h) {
    const Hidden& hidden = hidden_[static_cast<size_t>(h)];
    logits[hidden.row * kernel_.kernels_.panel_width + hidden.column] = -kInfinity;
  }
}

// Logits of all columns that the rows see, -inf for the others, and the exact maximum of each row.
void SoftmaxBlock::ComputeLogits() {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t dim = args().dim;
  const int64_t q_words = kernel_.padded_dim_ / k.terms;
  std::fill(lanes_.get(), lanes_.get() + rows_ * k.lanes, -kInfinity);
  for (int64_t p = 0; p < kernel_.panels_; ++p) {
    k.logits(q_.get(), rows_, kernel_.panels_of_v_.get() + p * q_words * k.panel_width,
             ColumnsOf(p), dim, kernel_.offset_.get() + p * k.panel_width, Panel(p));
    HideEntries(p, Panel(p));
    k.maximum(Panel(p), rows_, lanes_.get());
  }
  for (int64_t r = 0; r < rows_; ++r) {
    const float* lanes = lanes_.get() + r * k.lanes;
    const int64_t row = begin_ + r;
    const double own = k.logit(q_.get() + r * q_words, args().v + args().positive[row] * dim, dim) +
                       static_cast<double>(args().positive_offset[row]) * kLog2E;
    own_[static_cast<size_t>(r)] = own;
    shift_[static_cast<size_t>(r)] =
        std::max(*std::max_element(lanes, lanes + k.lanes), static_cast<float>(own));
  }
}

// Exponentials in place of the logits, their row sums, and their products with the columns.
void SoftmaxBlock::ComputeExponentials() {
  const SoftmaxVariant& k = kernel_.kernels_;
  const auto reset = [](const ScratchFloats& x, int64_t n) {
    std::fill(x.get(), x.get() + n, 0.0F);
  };
  reset(lanes_, rows_ * k.lanes);
  reset(q_sums_, kernel_.block_rows_ * kernel_.padded_dim_);
  std::fill(others_.begin(), others_.end(), 0.0);
  for (int64_t p = 0; p < kernel_.panels_; ++p) {
    k.exponentials(Panel(p), rows_, shift_.data(), lanes_.get(), by_row_.get());
    k.add_rows(k.terms > 1 ? by_row_.get() : Panel(p), rows_,
               kernel_.slabs_of_v_.get() + p * k.panel_width / k.terms * kernel_.padded_dim_,
               ColumnsOf(p), args().dim, kernel_.block_rows_, q_sums_.get());
    if ((p + 1) % kPanelsOfASum != 0 && p + 1 != kernel_.panels_) continue;
    for (int64_t r = 0; r < rows_; ++r) {
      others_[static_cast<size_t>(r)] += Sum(lanes_.get() + r * k.lanes, k.lanes);
    }
    reset(lanes_, rows_ * k.lanes);
  }
}

// Loss and gradient of the row at place r, and its entry for the gradient of v.
void SoftmaxBlock::FinishRow(int64_t r) {
  const SoftmaxVariant& k = kernel_.kernels_;
  const auto place = static_cast<size_t>(r);
  const int64_t row = begin_ + r;
  const double others = others_[place];
  const double below = static_cast<double>(shift_[place]) - own_[place];
  const double own = std::exp2(-below);
  const double ratio = others / own;
  args().row_loss[row] =
      (std::isfinite(ratio) ? std::log1p(ratio) : below / kLog2E + std::log(own + others)) +
      static_cast<double>(args().positive_offset[row]) -
      static_cast<double>(args().target_offset[row]);
  scale_[place] = static_cast<float>(static_cast<double>(args().weight[row]) *
                                     args().inverse_temperature / (own + others));
  const int64_t positive = args().positive[row];
  const auto slope = static_cast<float>(-others);
  k.set_entry(Panel(positive / k.panel_width), r, positive % k.panel_width, slope);
  k.finish_row(q_sums_.get(), r, kernel_.block_rows_, args().v + positive * args().dim, slope,
               scale_[place], args().dim, args().q_grad + row * args().dim);
}

void SoftmaxBlock::AddColumns(int64_t panel, float* v_sums) const {
  kernel_.kernels_.add_columns(Panel(panel), rows_, scaled_q_.get(), ColumnsOf(panel), args().dim,
                               kernel_.block_rows_, v_sums);
}

}  // namespace torii::kernels
