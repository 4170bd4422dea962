#include "kernels/cpu/softmax/softmax_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cpu/softmax/base_two.h"

namespace torii::kernels::cpu {
namespace {

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
  const int64_t panel_size = rows * k.panel_width;
  panels_.Reserve(kernel_.columns_.panels() * panel_size);
  if (k.terms > 1) by_row_.Reserve(panel_size / k.terms);
  q_.Reserve(rows * dim / k.terms);
  q_sums_.Reserve(rows * dim);
  scaled_q_.Reserve(rows * dim / k.terms);
  lanes_.Reserve(rows * k.lanes);
  const auto size = static_cast<size_t>(rows);
  shift_.resize(size);
  scale_.resize(size);
  unlabeled_.resize(size);
}

int64_t SoftmaxBlock::ColumnsOf(int64_t panel) const {
  const int64_t width = kernel_.kernels_.panel_width;
  return std::min(width, args().u - panel * width);
}

void SoftmaxBlock::Compute(int64_t begin, int64_t queries) {
  const SoftmaxVariant& k = kernel_.kernels_;
  block_ = {begin, begin + queries};
  const float* q = args().q + begin * args().dim;
  k.pack_rows(q, queries, args().dim, static_cast<float>(args().inverse_temperature * kLog2E),
              q_.get());
  positives_.Collect(args(), block_, kernel_.columns_.panels(), k.panel_width,
                     [&](int64_t query, int64_t column) {
                       return k.logit(q_.get() + query * kernel_.padded_dim_ / k.terms,
                                      args().v + column * args().dim, args().dim);
                     });
  StartShifts();
  // A shift near a row's largest logit suffices, and the maximum of the first panel is nearly
  // always near enough. First sweep: that maximum, then the exponentials of all panels. If a sum
  // became too large, a second sweep takes the maximum of all panels and repeats the exponentials.
  for (int64_t seen = 1;; seen = kernel_.columns_.panels()) {
    std::fill(lanes_.get(), lanes_.get() + queries * k.lanes, -kInfinity);
    for (int64_t p = 0; p < seen; ++p) {
      ComputeLogits(p);
      k.maximum(Panel(p), queries, lanes_.get());
    }
    RaiseShifts();
    if (ComputeExponentials(seen) || seen == kernel_.columns_.panels()) break;
  }
  for (int64_t r = 0; r < queries; ++r) FinishQuery(r);
  k.scale_rows(q, queries, args().dim, scale_.data(), kernel_.block_rows_, scaled_q_.get());
}

// Logits of a panel's columns, -inf for those that the queries do not see and for the positives.
void SoftmaxBlock::ComputeLogits(int64_t p) {
  const SoftmaxVariant& k = kernel_.kernels_;
  float* panel = Panel(p);
  k.logits(q_.get(), block_.size(), kernel_.columns_.Panel(p), ColumnsOf(p), args().dim,
           kernel_.columns_.Offsets(p), panel);
  for (const BlockPositives::Hidden& h : positives_.HiddenOf(p)) {
    panel[h.query * k.panel_width + h.column] = -kInfinity;
  }
}

// The largest logits of the positives: the first shifts.
void SoftmaxBlock::StartShifts() {
  std::fill(shift_.begin(), shift_.end(), std::numeric_limits<float>::lowest());
  for (const Positive& positive : positives_.all()) {
    double offset = positive.excluded ? -std::numeric_limits<double>::infinity()
                                      : static_cast<double>(args().column_offset[positive.column]);
    for (const int64_t row : positives_.RowsOf(positive)) {
      offset = std::max(offset, static_cast<double>(args().positive_offset[row]));
    }
    float& shift = shift_[static_cast<size_t>(positive.query)];
    shift = std::max(shift, static_cast<float>(positive.dot + offset * kLog2E));
  }
}

// Shifts not below the maxima that lanes_ holds.
void SoftmaxBlock::RaiseShifts() {
  const SoftmaxVariant& k = kernel_.kernels_;
  float* const largest = lanes_.get();
  k.largest_lanes(lanes_.get(), block_.size(), largest);
  for (size_t r = 0; r < static_cast<size_t>(block_.size()); ++r) {
    shift_[r] = std::max(shift_[r], largest[r]);
  }
}

// One panel after the other while it is in the cache: logits, exponentials, their row sums and
// their products with the columns. The first `known` panels hold their logits already. False if a
// row's sum got too large.
bool SoftmaxBlock::ComputeExponentials(int64_t known) {
  const SoftmaxVariant& k = kernel_.kernels_;
  const int64_t queries = block_.size();
  const auto reset = [](const ScratchFloats& x, int64_t n) {
    std::fill(x.get(), x.get() + n, 0.0F);
  };
  reset(q_sums_, kernel_.block_rows_ * kernel_.padded_dim_);
  reset(lanes_, queries * k.lanes);
  std::fill(unlabeled_.begin(), unlabeled_.end(), 0.0);
  for (int64_t p = 0; p < kernel_.columns_.panels(); ++p) {
    if (p >= known) ComputeLogits(p);
    k.exponentials(Panel(p), queries, shift_.data(), lanes_.get(), by_row_.get());
    k.add_rows(k.terms > 1 ? by_row_.get() : Panel(p), queries, kernel_.columns_.Slabs(p),
               ColumnsOf(p), args().dim, kernel_.block_rows_, q_sums_.get());
    if (!EndsASum(p + 1) && p + 1 < kernel_.columns_.panels()) continue;
    k.add_lanes(lanes_.get(), queries, unlabeled_.data());
    reset(lanes_, queries * k.lanes);
    const auto is_large = [](double sum) { return sum > kLargestSum; };
    if (std::any_of(unlabeled_.begin(), unlabeled_.begin() + queries, is_large)) return false;
  }
  return true;
}

// Losses of the rows of a query, and its gradient.
void SoftmaxBlock::FinishQuery(int64_t query) {
  SumOthers(query);
  double scale = 0;
  for (Positive& positive : positives_.OfQuery(query)) {
    FinishRows(positive);
    scale += positive.weight;
  }
  const SoftmaxVariant& k = kernel_.kernels_;
  float* q_grad = args().q_grad + (block_.begin + query) * args().dim;
  scale_[static_cast<size_t>(query)] = static_cast<float>(scale);
  k.finish_row(q_sums_.get(), query, kernel_.block_rows_, scale_[static_cast<size_t>(query)],
               args().dim, q_grad);
  for (Positive& positive : positives_.OfQuery(query)) {
    // In its own rows a positive has the gradient P - 1 = -others / sum, in the query's other rows
    // P like any column.
    positive.slope = static_cast<float>(positive.exponential * (scale - positive.weight) -
                                        positive.others * positive.weight);
    k.add_scaled(args().v + positive.column * args().dim, positive.slope, args().dim, q_grad);
  }
}

// For each positive the sum of the exponentials of all other columns, none of it by subtraction.
void SoftmaxBlock::SumOthers(int64_t query) {
  const std::span<Positive> positives = positives_.OfQuery(query);
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
  for (const int64_t row : positives_.RowsOf(positive)) {
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
  k.add_columns(Panel(panel), block_.size(), scaled_q_.get(), ColumnsOf(panel), args().dim,
                kernel_.block_rows_, v_sums);
  for (const BlockPositives::Hidden& h : positives_.HiddenOf(panel)) {
    if (h.positive < 0) continue;
    const Positive& positive = positives_.all()[static_cast<size_t>(h.positive)];
    k.add_column(args().q + (block_.begin + h.query) * args().dim, positive.slope, h.column,
                 args().dim, v_sums);
  }
}

}  // namespace torii::kernels::cpu
