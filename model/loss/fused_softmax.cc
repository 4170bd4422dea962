#include "model/loss/fused_softmax.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "kernels/host_tensors.h"

namespace torii::model {
namespace {

// The problem as the kernels want it: every tensor contiguous and without a graph. Looks at the
// groups of `p.rows`. CHECK-fails if the groups do not fit.
kernels::SoftmaxTensors TensorsOf(const SoftmaxProblem& p) {
  const int64_t queries = p.q.size(0), rows = p.positive.numel();
  TORII_CHECK(p.rows.queries() == queries && p.rows.rows() == rows, "groups of ", p.rows.rows(),
              " rows of ", p.rows.queries(), " queries for ", rows, " rows of ", queries);
  TORII_CHECK(p.temperature > 0, "temperature ", p.temperature);
  kernels::SoftmaxTensors t{.q = p.q,
                            .v = p.v,
                            .column_offset = p.column_offset,
                            .row_begin = {},
                            .positive = p.positive,
                            .positive_offset = p.positive_offset,
                            .target_offset = p.target_offset,
                            .weight = p.weight,
                            .excluded_begin = p.excluded_begin,
                            .excluded = p.excluded,
                            .inverse_temperature = 1 / p.temperature};
  for (at::Tensor* x : {&t.q, &t.v, &t.column_offset, &t.positive, &t.positive_offset,
                        &t.target_offset, &t.weight, &t.excluded_begin, &t.excluded}) {
    if (!x->defined()) continue;
    if (x->requires_grad()) *x = x->detach();
    *x = x->contiguous();
  }
  if (!p.rows.one_each()) t.row_begin = kernels::ReadableOn(p.device, p.rows.begins());
  return t;
}

// `kept` in the shape of `like`, a new one if someone still holds it. Its memory only grows.
at::Tensor InShapeOf(const at::Tensor& like, at::Tensor& kept) {
  const bool is_free = kept.defined() && kept.use_count() == 1 && kept.storage().use_count() == 1;
  if (!is_free) kept = at::empty({0}, like.options());
  kept.resize_(like.sizes());
  return kept;
}

// The logits of the row once more, for the message.
std::string ExplainRow(int64_t row, double loss, const SoftmaxProblem& p) {
  const auto number = [](const at::Tensor& x) { return kernels::NumberOf(x); };
  const auto integer = [](const at::Tensor& x) { return kernels::ListOf<int64_t>(x)[0]; };
  const int64_t positive = integer(p.positive[row]), query = p.rows.QueryOf(row);
  at::Tensor logits = at::mv(p.v, p.q[query]).div_(p.temperature);
  const double own = number(logits[positive] + p.positive_offset[row]);
  logits.add_(p.column_offset);
  if (p.excluded_begin.defined()) {
    const int64_t begin = integer(p.excluded_begin[query]),
                  end = integer(p.excluded_begin[query + 1]);
    logits.index_fill_(0, p.excluded.slice(0, begin, end), -std::numeric_limits<float>::infinity());
  }
  logits[positive] = own;
  return absl::StrCat("the loss of row ", row, " of ", p.positive.numel(), " is ", loss,
                      " (logit of its positive ", own, ", largest logit of the others or it ",
                      number(logits.max()), ", temperature ", p.temperature, ")");
}

}  // namespace

FusedSoftmax::FusedSoftmax(kernels::SoftmaxPrecision precision, const kernels::Device& device)
    : precision_(precision), softmax_(device, precision) {}

std::string FusedSoftmax::Description() const {
  return absl::StrCat(precision_ == kernels::SoftmaxPrecision::kBfloat16 ? "BFLOAT16" : "FLOAT32",
                      " products, ", softmax_.name());
}

SoftmaxResult FusedSoftmax::Compute(const SoftmaxProblem& problem) {
  const c10::NoGradGuard no_grad;
  const kernels::SoftmaxTensors t = TensorsOf(problem);
  const int64_t rows = t.positive.numel(), columns = t.v.size(0);
  const at::TensorOptions doubles = t.q.options().dtype(at::kDouble);
  SoftmaxResult result = {at::empty({}, doubles), InShapeOf(t.q, q_grad_), InShapeOf(t.v, v_grad_)};
  if (rows == 0 || columns == 0) {
    for (at::Tensor* x : {&result.value, &result.q_grad, &result.v_grad}) x->zero_();
    row_loss_ = at::zeros({rows}, doubles);
    return result;
  }
  if (!row_loss_.defined()) row_loss_ = at::empty({0}, doubles);
  row_loss_.resize_({rows});
  softmax_.Compute(t, {result.value, row_loss_, result.q_grad, result.v_grad});
  return result;
}

std::string FusedSoftmax::Explain(const SoftmaxProblem& problem) {
  Compute(problem);
  const std::vector<double> losses = kernels::ListOf<double>(row_loss_);
  for (size_t row = 0; row < losses.size(); ++row) {
    if (!std::isfinite(losses[row])) {
      return ExplainRow(static_cast<int64_t>(row), losses[row], problem);
    }
  }
  return "";
}

}  // namespace torii::model
