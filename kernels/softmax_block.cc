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
// How far a logit may be above its row's shift, in base 2: sums of exponentials stay far from the
// largest float32, and the scales of the gradients, their inverse, far from the smallest.
constexpr float kHeadroom = 40;

}  // namespace

void SoftmaxBlock::Prepare() {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t rows = kernel_.block_rows_, dim = kernel_.padded_dim_;
  panel_size_ = rows * k.panel_width;
  panels_.Reserve(kernel_.panels_ * panel_size_);
  if (k.terms > 1) by_row_.Reserve(panel_size_ / k.terms);
  q_.Reserve(rows * dim / k.terms);
  q_sums_.Reserve(rows * dim);
  scaled_q_.Reserve(rows * dim / k.terms);
  lanes_.Reserve(rows * k.lanes);
  const auto size = static_cast<size_t>(rows);
  for (std::vector<float>* x : {&shift_, &limit_, &scale_, &slope_}) x->resize(size);
  own_.resize(size);
  others_.resize(size);
}

int64_t SoftmaxBlock::ColumnsOf(int64_t panel) const {
  const int64_t width = kernel_.kernels_.panel_width;
  return std::min(width, args().u - panel * width);
}

void SoftmaxBlock::Compute(int64_t begin, int64_t rows) {
  const SoftmaxVariant& k = kernel_.kernels_;
  begin_ = begin;
  rows_ = rows;
  const float* q = args().q + begin * args().dim;
  k.pack_rows(q, rows, args().dim, static_cast<float>(args().inverse_temperature * kLog2E),
              q_.get());
  CollectHidden();
  StartShifts();
  // The shift need not be the largest logit: close to it and not above it is as exact, and that a
  // look at the first columns finds. Where it does not, all columns are looked at.
  for (int64_t seen = 1;; seen = kernel_.panels_) {
    for (int64_t p = 0; p < seen; ++p) {
      ComputeLogits(p);
      k.maximum(Panel(p), rows, lanes_.get());
    }
    RaiseShifts();
    if (ComputeExponentials(seen)) break;
    std::fill(lanes_.get(), lanes_.get() + rows * k.lanes, -kInfinity);
  }
  for (int64_t r = 0; r < rows; ++r) FinishRow(r);
  k.scale_rows(q, rows, args().dim, scale_.data(), kernel_.block_rows_, scaled_q_.get());
}

// Entries of each panel to be hidden: those of the positives and of the excluded columns.
void SoftmaxBlock::CollectHidden() {
  const int64_t width = kernel_.kernels_.panel_width;
  const auto for_each = [&](const auto& visit) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t row = begin_ + r;
      visit(r, args().positive[row], true);
      if (args().excluded_begin == nullptr) continue;
      for (int64_t e = args().excluded_begin[row]; e < args().excluded_begin[row + 1]; ++e) {
        visit(r, args().excluded[e], false);
      }
    }
  };
  hidden_begin_.assign(static_cast<size_t>(kernel_.panels_) + 1, 0);
  for_each([&](int64_t, int64_t column, bool) {
    ++hidden_begin_[static_cast<size_t>(column / width) + 1];
  });
  for (size_t p = 1; p < hidden_begin_.size(); ++p) hidden_begin_[p] += hidden_begin_[p - 1];
  hidden_.resize(static_cast<size_t>(hidden_begin_.back()));
  for_each([&](int64_t r, int64_t column, bool positive) {
    const auto place = hidden_begin_[static_cast<size_t>(column / width)]++;
    hidden_[static_cast<size_t>(place)] = {static_cast<int32_t>(r),
                                           static_cast<int32_t>(column % width), positive};
  });
  // Each entry is now the end of its panel: shift them back to the beginnings.
  std::copy_backward(hidden_begin_.begin(), hidden_begin_.end() - 1, hidden_begin_.end());
  hidden_begin_[0] = 0;
}

std::span<const SoftmaxBlock::Hidden> SoftmaxBlock::HiddenOf(int64_t panel) const {
  const int64_t* begin = hidden_begin_.data() + panel;
  return {hidden_.data() + begin[0], hidden_.data() + begin[1]};
}

// Logits of a panel's columns, -inf for those that the rows do not see.
void SoftmaxBlock::ComputeLogits(int64_t p) {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t size = k.panel_width * kernel_.padded_dim_ / k.terms;
  float* panel = Panel(p);
  k.logits(q_.get(), rows_, kernel_.panels_of_v_.get() + p * size, ColumnsOf(p), args().dim,
           kernel_.offset_.get() + p * k.panel_width, panel);
  for (const Hidden& h : HiddenOf(p)) panel[h.row * k.panel_width + h.column] = -kInfinity;
}

// The logits of the positives: the first shifts.
void SoftmaxBlock::StartShifts() {
  const SoftmaxVariant& k = kernel_.kernels_;
  for (int64_t r = 0; r < rows_; ++r) {
    const auto place = static_cast<size_t>(r);
    const int64_t row = begin_ + r;
    const double dot = k.logit(q_.get() + r * kernel_.padded_dim_ / k.terms,
                               args().v + args().positive[row] * args().dim, args().dim);
    own_[place] = dot + static_cast<double>(args().positive_offset[row]) * kLog2E;
    shift_[place] = static_cast<float>(own_[place]);
  }
  std::fill(lanes_.get(), lanes_.get() + rows_ * k.lanes, -kInfinity);
}

// Shifts not below the maxima that lanes_ holds.
void SoftmaxBlock::RaiseShifts() {
  const SoftmaxVariant& k = kernel_.kernels_;
  k.largest_lanes(lanes_.get(), rows_, limit_.data());
  for (size_t r = 0; r < static_cast<size_t>(rows_); ++r) {
    shift_[r] = std::max(shift_[r], limit_[r]);
    limit_[r] = shift_[r] + kHeadroom;
  }
}

// One panel after the other while it is in the cache: logits, exponentials, their row sums and
// their products with the columns. The first `known` panels hold their logits already. False if a
// logit of another one is above its row's limit.
bool SoftmaxBlock::ComputeExponentials(int64_t known) {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t size = k.panel_width * kernel_.padded_dim_ / k.terms;
  const auto reset = [](const ScratchFloats& x, int64_t n) {
    std::fill(x.get(), x.get() + n, 0.0F);
  };
  reset(q_sums_, kernel_.block_rows_ * kernel_.padded_dim_);
  std::fill(others_.begin(), others_.end(), 0.0);
  for (int64_t p = 0; p < kernel_.panels_; ++p) {
    if (p % kPanelsOfASum == 0) reset(lanes_, rows_ * k.lanes);
    if (p >= known) {
      ComputeLogits(p);
      if (k.any_above(Panel(p), rows_, limit_.data())) return false;
    }
    k.exponentials(Panel(p), rows_, shift_.data(), lanes_.get(), by_row_.get());
    k.add_rows(k.terms > 1 ? by_row_.get() : Panel(p), rows_, kernel_.slabs_of_v_.get() + p * size,
               ColumnsOf(p), args().dim, kernel_.block_rows_, q_sums_.get());
    if ((p + 1) % kPanelsOfASum == 0 || p + 1 == kernel_.panels_) {
      k.add_lanes(lanes_.get(), rows_, others_.data());
    }
  }
  return true;
}

// Loss and gradient of the row at place r. The positive is kept apart from the other columns: with
// sum = e_p + others its loss is log1p(others / e_p) and its gradient P - 1 is -others / sum, both
// exact however close P is to 1.
void SoftmaxBlock::FinishRow(int64_t r) {
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
  const double scale =
      static_cast<double>(args().weight[row]) * args().inverse_temperature / (own + others);
  scale_[place] = static_cast<float>(scale);
  slope_[place] = static_cast<float>(-others * scale);
  kernel_.kernels_.finish_row(q_sums_.get(), r, kernel_.block_rows_,
                              args().v + args().positive[row] * args().dim, slope_[place],
                              scale_[place], args().dim, args().q_grad + row * args().dim);
}

void SoftmaxBlock::AddColumns(int64_t panel, float* v_sums) const {
  const SoftmaxVariant& k = kernel_.kernels_;
  k.add_columns(Panel(panel), rows_, scaled_q_.get(), ColumnsOf(panel), args().dim,
                kernel_.block_rows_, v_sums);
  for (const Hidden& h : HiddenOf(panel)) {
    if (!h.positive) continue;
    k.add_column(args().q + (begin_ + h.row) * args().dim, slope_[static_cast<size_t>(h.row)],
                 h.column, args().dim, v_sums);
  }
}

}  // namespace torii::kernels
