#include "model/loss/symmetric.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/host_tensors.h"
#include "model/loss/row_queries.h"

namespace torii::model {
namespace {

// Rows whose scores are in memory at a time.
constexpr int64_t kTileRows = 64;

// exp(scores), 0 where a pair is not visible (its score may be far above the visible ones).
at::Tensor Exponentials(const at::Tensor& scores, const at::Tensor& visible) {
  return at::exp(scores.masked_fill(visible == 0, -std::numeric_limits<float>::infinity()));
}

// The second half of the loss: every pass over the scores of this rank's rows, tile by tile.
class OverRows {
 public:
  OverRows(const LossInput& input, bool hides_hits)
      : input_(input),
        hides_hits_(hides_hits),
        q_(RowQueries(input.rows, input.q, input.device)),
        excluded_begin_(input.excluded.begin.defined()
                            ? kernels::ListOf<int64_t>(input.excluded.begin)
                            : std::vector<int64_t>()) {}

  int64_t columns() const { return input_.v.size(0); }
  // Calls visit(begin, end, scores [rows, U], visible [rows, U]) for tiles that cover the rows.
  // visible: 1 where the pair counts among a column's rows, else 0.
  template <typename Visit>
  void ForEachTile(const Visit& visit) const {
    for (int64_t begin = 0; begin < q_.size(0); begin += kTileRows) {
      const int64_t end = std::min(begin + kTileRows, q_.size(0));
      const at::Tensor scores =
          at::matmul(q_.slice(0, begin, end), input_.v.t()).div_(input_.scorer->divisor());
      visit(begin, end, scores, Visible(begin, end));
    }
  }
  at::Tensor Own(int64_t begin, int64_t end) const {
    return input_.positive.slice(0, begin, end).unsqueeze(1);  // [rows, 1]
  }

  // Of the visible rows of each column, -inf where there are none.
  at::Tensor GreatestScores() const {
    at::Tensor greatest =
        at::full({columns()}, -std::numeric_limits<float>::infinity(), input_.v.options());
    ForEachTile([&](int64_t, int64_t, const at::Tensor& scores, const at::Tensor& visible) {
      const at::Tensor seen =
          scores.masked_fill(visible == 0, -std::numeric_limits<float>::infinity());
      greatest = at::maximum(greatest, seen.amax(0));
    });
    return greatest;
  }

  // Sums of exp(score - greatest) over the visible rows of each column, [U] float64.
  at::Tensor SumsOfExponentials(const at::Tensor& greatest) const {
    at::Tensor sums = at::zeros({columns()}, greatest.options().dtype(at::kDouble));
    ForEachTile([&](int64_t, int64_t, const at::Tensor& scores, const at::Tensor& visible) {
      sums += Exponentials(scores - greatest, visible).sum(0, false, at::kDouble);
    });
    return sums;
  }

  // Of every row: score of its own item less the column's greatest, and the logarithm of the
  // denominator of its softmax, [B] float64 each. The sum over the visible rows is 0 or at least 1.
  struct Rows {
    at::Tensor own, log_denominator, others;
  };
  Rows OwnScores(const at::Tensor& greatest, const at::Tensor& sums) const {
    std::vector<at::Tensor> own = {at::zeros({0}, input_.v.options())};
    ForEachTile([&](int64_t begin, int64_t end, const at::Tensor& scores, const at::Tensor&) {
      own.push_back((scores - greatest).gather(1, Own(begin, end)).squeeze(1));
    });
    Rows rows;
    rows.own = at::cat(own).to(at::kDouble);
    rows.others = sums.index_select(0, input_.positive);
    rows.log_denominator = at::log(rows.others);
    if (hides_hits_) rows.log_denominator = at::logaddexp(rows.log_denominator, rows.own);
    return rows;
  }

  // Sums over the rows that have the column as their item of weight / denominator, [U] float64.
  at::Tensor Shares(const Rows& rows) const {
    const at::Tensor share = at::where(rows.others > 0, at::exp(-rows.log_denominator), 0.0);
    return at::zeros({columns()}, rows.own.options())
        .index_add_(0, input_.positive, input_.weight * share);
  }

  LossResult Differentiate(const at::Tensor& greatest, const Rows& rows,
                           const at::Tensor& shares) const {
    const at::Tensor row_loss = rows.log_denominator - rows.own;
    LossResult result{(row_loss * input_.weight).sum(), {}, at::zeros_like(input_.v)};
    at::Tensor own_grad = -input_.weight.to(at::kDouble);
    if (hides_hits_) own_grad = own_grad * (1 - at::exp(rows.own - rows.log_denominator));
    const at::Tensor share = shares.to(at::kFloat), own = own_grad.to(at::kFloat);
    at::Tensor q_grad = at::empty_like(q_);
    ForEachTile(
        [&](int64_t begin, int64_t end, const at::Tensor& scores, const at::Tensor& visible) {
          at::Tensor grad = Exponentials(scores - greatest, visible) * share;  // of the scores
          grad.scatter_add_(1, Own(begin, end), own.slice(0, begin, end).unsqueeze(1));
          grad /= input_.scorer->divisor();
          q_grad.slice(0, begin, end).copy_(at::matmul(grad, input_.v));
          result.v_grad.addmm_(grad.t(), q_.slice(0, begin, end));
        });
    result.q_grad = SumOfQueries(input_.rows, q_grad, input_.device);
    return result;
  }

 private:
  at::Tensor Visible(int64_t begin, int64_t end) const {
    at::Tensor visible = at::ones({end - begin, columns()}, input_.v.options());
    for (int64_t row = begin; !excluded_begin_.empty() && row < end; ++row) {
      const auto query = static_cast<size_t>(input_.rows.QueryOf(row));
      visible[row - begin].index_fill_(
          0, input_.excluded.columns.slice(0, excluded_begin_[query], excluded_begin_[query + 1]),
          0);
    }
    return visible.scatter_(1, Own(begin, end), hides_hits_ ? 0 : 1);
  }

  const LossInput& input_;
  const bool hides_hits_;
  const at::Tensor q_;                         // [B, D]
  const std::vector<int64_t> excluded_begin_;  // [R + 1], read once; empty: nothing is excluded
};

// The greatest score of each column, 0 where no row sees it.
at::Tensor Finite(const at::Tensor& greatest) {
  return greatest.masked_fill(greatest == -std::numeric_limits<float>::infinity(), 0);
}

}  // namespace

SymmetricLoss::SymmetricLoss(const SymmetricConfig& config, const kernels::Device& device)
    : config_(config), over_columns_(config.softmax(), device) {}

absl::StatusOr<Reduction> SymmetricLoss::Partial(const LossInput& input,
                                                 std::span<const at::Tensor> reduced) {
  const at::NoGradGuard no_grad;
  const OverRows rows(input, config_.softmax().pairing() == SoftmaxConfig::A);
  if (reduced.empty()) return Reduction{rows.GreatestScores(), Reduction::Op::kMax};
  const at::Tensor greatest = Finite(reduced[0]);
  if (reduced.size() == 1) return Reduction{rows.SumsOfExponentials(greatest)};
  return Reduction{rows.Shares(rows.OwnScores(greatest, reduced[1]))};
}

absl::StatusOr<LossResult> SymmetricLoss::Finish(const LossInput& input,
                                                 std::span<const at::Tensor> reduced) {
  const at::NoGradGuard no_grad;
  const OverRows rows(input, config_.softmax().pairing() == SoftmaxConfig::A);
  const at::Tensor greatest = Finite(reduced[0]);
  const LossResult second =
      rows.Differentiate(greatest, rows.OwnScores(greatest, reduced[1]), reduced[2]);
  TORII_ASSIGN_OR_RETURN(LossResult result, over_columns_.Finish(input, {}));
  result.value = (result.value + second.value) / 2;
  result.q_grad = (result.q_grad + second.q_grad) / 2;
  result.v_grad = (result.v_grad + second.v_grad) / 2;
  return result;
}

std::string SymmetricLoss::Explain(const LossInput& input) {
  const std::string first = over_columns_.Explain(input);
  return first.empty() ? "the softmax over the rows is not finite" : first;
}

std::string SymmetricLoss::Description() const {
  return absl::StrCat("symmetric: half over rows, half ", over_columns_.Description());
}

}  // namespace torii::model
