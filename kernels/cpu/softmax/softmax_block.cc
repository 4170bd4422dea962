#include "kernels/cpu/softmax/softmax_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace torii::kernels::cpu {
namespace {

constexpr double kLog2E = 1.4426950408889634;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// After which panels the partial sums of exponentials, in float, are added to sums in double. Short
// partial sums stay exact; the first ones are especially short, so that a bad shift is noticed
// soon.
bool EndsASum(int64_t panels) {
  return panels % 32 == 0 || std::has_single_bit(static_cast<uint64_t>(panels));
}

// The largest sum of a row's exponentials. It is far below the largest float32, and its inverse,
// which scales the gradients, is far above the smallest. Where the shift is at least the largest
// logit, no sum exceeds it.
constexpr double kLargestSum = 0x1p40;

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
  for (std::vector<float>* x : {&shift_, &largest_, &scale_}) x->resize(size);
  unlabeled_.resize(size);
}

int64_t SoftmaxBlock::ColumnsOf(int64_t panel) const {
  const int64_t width = kernel_.kernels_.panel_width;
  return std::min(width, args().u - panel * width);
}

std::span<SoftmaxBlock::Positive> SoftmaxBlock::PositivesOf(int64_t query) {
  const int64_t* begin = positive_begin_.data() + query;
  return {positives_.data() + begin[0], positives_.data() + begin[1]};
}

void SoftmaxBlock::Compute(int64_t begin, int64_t queries) {
  const SoftmaxVariant& k = kernel_.kernels_;
  begin_ = begin;
  queries_ = queries;
  const float* q = args().q + begin * args().dim;
  k.pack_rows(q, queries, args().dim, static_cast<float>(args().inverse_temperature * kLog2E),
              q_.get());
  CollectPositives();
  CollectHidden();
  StartShifts();
  // A shift near a row's largest logit suffices, and the maximum of the first panel is nearly
  // always near enough. First sweep: that maximum, then the exponentials of all panels. If a sum
  // became too large, a second sweep takes the maximum of all panels and repeats the exponentials.
  for (int64_t seen = 1;; seen = kernel_.panels_) {
    std::fill(lanes_.get(), lanes_.get() + queries * k.lanes, -kInfinity);
    for (int64_t p = 0; p < seen; ++p) {
      ComputeLogits(p);
      k.maximum(Panel(p), queries, lanes_.get());
    }
    RaiseShifts();
    if (ComputeExponentials(seen) || seen == kernel_.panels_) break;
  }
  for (int64_t r = 0; r < queries; ++r) FinishQuery(r);
  k.scale_rows(q, queries, args().dim, scale_.data(), kernel_.block_rows_, scaled_q_.get());
}

void SoftmaxBlock::CollectPositives() {
  positives_.clear();
  row_.clear();
  positive_begin_.assign(1, 0);
  for (int64_t r = 0; r < queries_; ++r) {
    AddPositives(r);
    positive_begin_.push_back(std::ssize(positives_));
    if (args().excluded_begin != nullptr) MarkExcluded(r);
  }
}

// The rows of a query by their positives.
void SoftmaxBlock::AddPositives(int64_t query) {
  const int64_t* positive = args().positive;
  const auto first = std::ssize(row_);
  for (int64_t n = RowBegin(begin_ + query); n < RowBegin(begin_ + query + 1); ++n) {
    row_.push_back(n);
  }
  const auto end = std::ssize(row_);
  if (end - first > 1) {
    std::stable_sort(row_.begin() + first, row_.end(),
                     [&](int64_t a, int64_t b) { return positive[a] < positive[b]; });
  }
  const SoftmaxVariant& k = kernel_.kernels_;
  const float* q = q_.get() + query * kernel_.padded_dim_ / k.terms;
  for (int64_t i = first; i < end; ++i) {
    const int64_t column = positive[row_[static_cast<size_t>(i)]];
    if (i == first || positives_.back().column != column) {
      positives_.push_back({.query = static_cast<int32_t>(query),
                            .column = column,
                            .first_row = i,
                            .dot = k.logit(q, args().v + column * args().dim, args().dim)});
    }
    positives_.back().end_row = i + 1;
  }
}

void SoftmaxBlock::MarkExcluded(int64_t query) {
  const std::span<Positive> positives = PositivesOf(query);
  for (int64_t e = args().excluded_begin[begin_ + query];
       e < args().excluded_begin[begin_ + query + 1]; ++e) {
    const auto found = std::lower_bound(
        positives.begin(), positives.end(), args().excluded[e],
        [](const Positive& positive, int64_t column) { return positive.column < column; });
    if (found != positives.end() && found->column == args().excluded[e]) found->excluded = true;
  }
}

// The entries of each panel that a query does not see: positives, treated apart, and excluded
// columns.
void SoftmaxBlock::CollectHidden() {
  const int64_t width = kernel_.kernels_.panel_width;
  const auto for_each = [&](const auto& visit) {
    for (size_t i = 0; i < positives_.size(); ++i) {
      visit(positives_[i].query, positives_[i].column, static_cast<int64_t>(i));
    }
    for (int64_t r = 0; args().excluded_begin != nullptr && r < queries_; ++r) {
      for (int64_t e = args().excluded_begin[begin_ + r]; e < args().excluded_begin[begin_ + r + 1];
           ++e) {
        visit(static_cast<int32_t>(r), args().excluded[e], -1);
      }
    }
  };
  hidden_begin_.assign(static_cast<size_t>(kernel_.panels_) + 1, 0);
  for_each([&](int32_t, int64_t column, int64_t) {
    ++hidden_begin_[static_cast<size_t>(column / width) + 1];
  });
  for (size_t p = 1; p < hidden_begin_.size(); ++p) hidden_begin_[p] += hidden_begin_[p - 1];
  hidden_.resize(static_cast<size_t>(hidden_begin_.back()));
  for_each([&](int32_t query, int64_t column, int64_t positive) {
    const auto place = hidden_begin_[static_cast<size_t>(column / width)]++;
    hidden_[static_cast<size_t>(place)] = {query, static_cast<int32_t>(column % width), positive};
  });
  // Each entry is now the end of its panel: shift them back to the beginnings.
  std::copy_backward(hidden_begin_.begin(), hidden_begin_.end() - 1, hidden_begin_.end());
  hidden_begin_[0] = 0;
}

std::span<const SoftmaxBlock::Hidden> SoftmaxBlock::HiddenOf(int64_t panel) const {
  const int64_t* begin = hidden_begin_.data() + panel;
  return {hidden_.data() + begin[0], hidden_.data() + begin[1]};
}

// Logits of a panel's columns, -inf for those that the queries do not see and for the positives.
void SoftmaxBlock::ComputeLogits(int64_t p) {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t size = k.panel_width * kernel_.padded_dim_ / k.terms;
  float* panel = Panel(p);
  k.logits(q_.get(), queries_, kernel_.panels_of_v_.get() + p * size, ColumnsOf(p), args().dim,
           kernel_.offset_.get() + p * k.panel_width, panel);
  for (const Hidden& h : HiddenOf(p)) panel[h.query * k.panel_width + h.column] = -kInfinity;
}

// The largest logits of the positives: the first shifts.
void SoftmaxBlock::StartShifts() {
  std::fill(shift_.begin(), shift_.end(), std::numeric_limits<float>::lowest());
  for (const Positive& positive : positives_) {
    double offset = positive.excluded ? -std::numeric_limits<double>::infinity()
                                      : static_cast<double>(args().column_offset[positive.column]);
    for (int64_t i = positive.first_row; i < positive.end_row; ++i) {
      const int64_t row = row_[static_cast<size_t>(i)];
      offset = std::max(offset, static_cast<double>(args().positive_offset[row]));
    }
    float& shift = shift_[static_cast<size_t>(positive.query)];
    shift = std::max(shift, static_cast<float>(positive.dot + offset * kLog2E));
  }
}

// Shifts not below the maxima that lanes_ holds.
void SoftmaxBlock::RaiseShifts() {
  const SoftmaxVariant& k = kernel_.kernels_;
  k.largest_lanes(lanes_.get(), queries_, largest_.data());
  for (size_t r = 0; r < static_cast<size_t>(queries_); ++r) {
    shift_[r] = std::max(shift_[r], largest_[r]);
  }
}

// One panel after the other while it is in the cache: logits, exponentials, their row sums and
// their products with the columns. The first `known` panels hold their logits already. False if a
// row's sum got too large.
bool SoftmaxBlock::ComputeExponentials(int64_t known) {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t size = k.panel_width * kernel_.padded_dim_ / k.terms;
  const auto reset = [](const ScratchFloats& x, int64_t n) {
    std::fill(x.get(), x.get() + n, 0.0F);
  };
  reset(q_sums_, kernel_.block_rows_ * kernel_.padded_dim_);
  reset(lanes_, queries_ * k.lanes);
  std::fill(unlabeled_.begin(), unlabeled_.end(), 0.0);
  for (int64_t p = 0; p < kernel_.panels_; ++p) {
    if (p >= known) ComputeLogits(p);
    k.exponentials(Panel(p), queries_, shift_.data(), lanes_.get(), by_row_.get());
    k.add_rows(k.terms > 1 ? by_row_.get() : Panel(p), queries_,
               kernel_.slabs_of_v_.get() + p * size, ColumnsOf(p), args().dim, kernel_.block_rows_,
               q_sums_.get());
    if (!EndsASum(p + 1) && p + 1 < kernel_.panels_) continue;
    k.add_lanes(lanes_.get(), queries_, unlabeled_.data());
    reset(lanes_, queries_ * k.lanes);
    const auto is_large = [](double sum) { return sum > kLargestSum; };
    if (std::any_of(unlabeled_.begin(), unlabeled_.begin() + queries_, is_large)) return false;
  }
  return true;
}

// Losses of the rows of a query, and its gradient.
void SoftmaxBlock::FinishQuery(int64_t query) {
  SumOthers(query);
  double scale = 0;
  for (Positive& positive : PositivesOf(query)) {
    FinishRows(positive);
    scale += positive.weight;
  }
  const SoftmaxVariant& k = kernel_.kernels_;
  float* q_grad = args().q_grad + (begin_ + query) * args().dim;
  scale_[static_cast<size_t>(query)] = static_cast<float>(scale);
  k.finish_row(q_sums_.get(), query, kernel_.block_rows_, scale_[static_cast<size_t>(query)],
               args().dim, q_grad);
  for (Positive& positive : PositivesOf(query)) {
    // In its own rows a positive has the gradient P - 1 = -others / sum, in the query's other rows
    // P like any column.
    positive.slope = static_cast<float>(positive.exponential * (scale - positive.weight) -
                                        positive.others * positive.weight);
    k.add_scaled(args().v + positive.column * args().dim, positive.slope, args().dim, q_grad);
  }
}

// For each positive the sum of the exponentials of all other columns, none of it by subtraction.
void SoftmaxBlock::SumOthers(int64_t query) {
  const std::span<Positive> positives = PositivesOf(query);
  const auto shift = static_cast<double>(shift_[static_cast<size_t>(query)]);
  double sum = unlabeled_[static_cast<size_t>(query)];
  for (Positive& positive : positives) {
    const auto offset = static_cast<double>(args().column_offset[positive.column]);
    positive.exponential =
        positive.excluded ? 0 : std::exp2(positive.dot + offset * kLog2E - shift);
    positive.others = sum;
    sum += positive.exponential;
  }
  sum = 0;
  for (size_t i = positives.size(); i-- > 0;) {
    positives[i].others += sum;
    sum += positives[i].exponential;
  }
}

// With sum = own + others the loss of a row is log1p(others / own).
void SoftmaxBlock::FinishRows(Positive& positive) {
  const auto shift = static_cast<double>(shift_[static_cast<size_t>(positive.query)]);
  for (int64_t i = positive.first_row; i < positive.end_row; ++i) {
    const int64_t row = row_[static_cast<size_t>(i)];
    const auto offset = static_cast<double>(args().positive_offset[row]);
    const double below = shift - (positive.dot + offset * kLog2E);
    const double own = std::exp2(-below);
    const double ratio = positive.others / own;
    args().row_loss[row] =
        (std::isfinite(ratio) ? std::log1p(ratio)
                              : below / kLog2E + std::log(own + positive.others)) +
        offset - static_cast<double>(args().target_offset[row]);
    positive.weight += static_cast<double>(args().weight[row]) * args().inverse_temperature /
                       (own + positive.others);
  }
}

void SoftmaxBlock::AddColumns(int64_t panel, float* v_sums) const {
  const SoftmaxVariant& k = kernel_.kernels_;
  k.add_columns(Panel(panel), queries_, scaled_q_.get(), ColumnsOf(panel), args().dim,
                kernel_.block_rows_, v_sums);
  for (const Hidden& h : HiddenOf(panel)) {
    if (h.positive < 0) continue;
    k.add_column(args().q + (begin_ + h.query) * args().dim,
                 positives_[static_cast<size_t>(h.positive)].slope, h.column, args().dim, v_sums);
  }
}

}  // namespace torii::kernels::cpu
