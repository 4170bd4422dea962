#include "model/softmax_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/parallel_for.h"

namespace torii::model {
namespace {

// Below this a further thread costs more than it brings.
constexpr int64_t kOperationsOfAThread = 1'000'000;

// Ends the program unless row_begin cuts `rows` rows over the queries.
void CheckRowBegin(const at::Tensor& row_begin, int64_t queries, int64_t rows) {
  if (!row_begin.defined()) {
    TORII_CHECK(queries == rows, queries, " queries for ", rows, " rows");
    return;
  }
  TORII_CHECK(row_begin.numel() == queries + 1, row_begin.numel(), " beginnings of rows for ",
              queries, " queries");
  const int64_t* begin = row_begin.const_data_ptr<int64_t>();
  TORII_CHECK(begin[0] == 0 && begin[queries] == rows && std::is_sorted(begin, begin + queries + 1),
              "row_begin does not cut ", rows, " rows");
}

// The same problem with every tensor contiguous; ends the program if the shapes do not fit.
SoftmaxProblem Checked(const SoftmaxProblem& given) {
  SoftmaxProblem p = given;
  for (at::Tensor* t : {&p.q, &p.v, &p.column_offset, &p.row_begin, &p.positive, &p.positive_offset,
                        &p.target_offset, &p.weight, &p.excluded_begin, &p.excluded}) {
    if (!t->defined()) continue;
    if (t->requires_grad()) *t = t->detach();
    *t = t->contiguous();
  }
  const int64_t queries = p.q.size(0), rows = p.positive.numel(), columns = p.v.size(0);
  CheckRowBegin(p.row_begin, queries, rows);
  TORII_CHECK(p.temperature > 0, "temperature ", p.temperature);
  TORII_CHECK(p.q.size(1) == p.v.size(1), "q is ", p.q.size(1), " wide, v ", p.v.size(1));
  TORII_CHECK(p.column_offset.numel() == columns, p.column_offset.numel(), " column offsets, U ",
              columns);
  TORII_CHECK(p.positive_offset.numel() == rows && p.target_offset.numel() == rows &&
                  p.weight.numel() == rows,
              "row vectors of lengths ", p.positive_offset.numel(), ", ", p.target_offset.numel(),
              ", ", p.weight.numel(), " for ", rows, " rows");
  for (const at::Tensor* t :
       {&p.q, &p.v, &p.column_offset, &p.positive_offset, &p.target_offset, &p.weight}) {
    TORII_CHECK(t->scalar_type() == at::kFloat, "a tensor that is not float32");
  }
  if (columns == 0) return p;
  const int64_t* positive = p.positive.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i) {
    TORII_CHECK(positive[i] >= 0 && positive[i] < columns, "row ", i, ": positive ", positive[i],
                " of ", columns, " columns");
  }
  if (!p.excluded_begin.defined()) return p;
  TORII_CHECK(p.excluded_begin.numel() == queries + 1, p.excluded_begin.numel(),
              " starts of lists for ", queries, " queries");
  const int64_t* excluded = p.excluded.const_data_ptr<int64_t>();
  for (int64_t e = 0; e < p.excluded.numel(); ++e) {
    TORII_CHECK(excluded[e] >= 0 && excluded[e] < columns, "excluded column ", excluded[e], " of ",
                columns);
  }
  return p;
}

kernels::SoftmaxArgs ArgsOf(const SoftmaxProblem& problem) {
  kernels::SoftmaxArgs args;
  args.q = problem.q.const_data_ptr<float>();
  args.v = problem.v.const_data_ptr<float>();
  args.column_offset = problem.column_offset.const_data_ptr<float>();
  if (problem.row_begin.defined()) args.row_begin = problem.row_begin.const_data_ptr<int64_t>();
  args.positive = problem.positive.const_data_ptr<int64_t>();
  args.positive_offset = problem.positive_offset.const_data_ptr<float>();
  args.target_offset = problem.target_offset.const_data_ptr<float>();
  args.weight = problem.weight.const_data_ptr<float>();
  if (problem.excluded_begin.defined()) {
    args.excluded_begin = problem.excluded_begin.const_data_ptr<int64_t>();
    args.excluded = problem.excluded.const_data_ptr<int64_t>();
  }
  args.b = problem.q.size(0);
  args.u = problem.v.size(0);
  args.dim = problem.q.size(1);
  args.inverse_temperature = 1 / problem.temperature;
  return args;
}

// `kept` in the shape of `like`, a new one if someone still holds it. Its memory only grows.
at::Tensor InShapeOf(const at::Tensor& like, at::Tensor& kept) {
  const bool is_free = kept.defined() && kept.use_count() == 1 && kept.storage().use_count() == 1;
  if (!is_free) kept = at::empty({0}, at::kFloat);
  kept.resize_(like.sizes());
  return kept;
}

// The logits of the row once more, for the message.
absl::Status DivergedAt(int64_t row, double loss, const SoftmaxProblem& p) {
  const int64_t positive = p.positive[row].item<int64_t>();
  int64_t query = row;
  if (p.row_begin.defined()) {
    const int64_t* begin = p.row_begin.const_data_ptr<int64_t>();
    query = std::upper_bound(begin, begin + p.row_begin.numel(), row) - begin - 1;
  }
  at::Tensor logits = at::mv(p.v, p.q[query]).div_(p.temperature);
  const double own = (logits[positive] + p.positive_offset[row]).item<double>();
  logits.add_(p.column_offset);
  if (p.excluded_begin.defined()) {
    const int64_t begin = p.excluded_begin[query].item<int64_t>();
    const int64_t end = p.excluded_begin[query + 1].item<int64_t>();
    logits.index_fill_(0, p.excluded.slice(0, begin, end), -std::numeric_limits<float>::infinity());
  }
  logits[positive] = own;
  return DivergedError(absl::StrCat(
      "the loss of row ", row, " of ", p.positive.numel(), " is ", loss, " (logit of its positive ",
      own, ", largest logit of the others or it ", logits.max().item<double>(), ", temperature ",
      p.temperature,
      "): lower the learning rates, clip the gradients, or look for extreme values in the "
      "features"));
}

}  // namespace

SoftmaxLoss::SoftmaxLoss(ModelConfig::LossPrecision precision)
    : precision_(precision),
      kernel_(precision == ModelConfig::BFLOAT16 ? kernels::SoftmaxPrecision::kBfloat16
                                                 : kernels::SoftmaxPrecision::kFloat32) {}

std::string SoftmaxLoss::Description() const {
  return absl::StrCat(ModelConfig::LossPrecision_Name(precision_), " products, ",
                      kernel_.variant().name,
                      kernel_.variant().emulated ? " (emulated: this CPU has none)" : "");
}

absl::StatusOr<SoftmaxResult> SoftmaxLoss::Compute(const SoftmaxProblem& problem) {
  const c10::NoGradGuard no_grad;
  const SoftmaxProblem p = Checked(problem);
  const int64_t rows = p.positive.numel(), columns = p.v.size(0), dim = p.q.size(1);
  SoftmaxResult result = {0, InShapeOf(p.q, q_grad_), InShapeOf(p.v, v_grad_)};
  if (rows == 0 || columns == 0) {
    result.q_grad.zero_();
    result.v_grad.zero_();
    return result;
  }
  row_loss_.resize(static_cast<size_t>(rows));
  kernels::SoftmaxArgs args = ArgsOf(p);
  args.q_grad = result.q_grad.mutable_data_ptr<float>();
  args.v_grad = result.v_grad.mutable_data_ptr<float>();
  args.row_loss = row_loss_.data();

  const int64_t useful = 1 + args.b * columns * dim / kOperationsOfAThread;
  const int64_t threads =
      std::min<int64_t>(useful, at::in_parallel_region() ? 1 : at::get_num_threads());
  kernel_.Start(args, static_cast<int>(threads));
  ParallelFor(0, threads, 1, [this](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) kernel_.Run(static_cast<int>(k));
  });

  for (int64_t i = 0; i < rows; ++i) {
    const double loss = row_loss_[static_cast<size_t>(i)];
    if (!std::isfinite(loss)) return DivergedAt(i, loss, p);
    result.loss += static_cast<double>(args.weight[i]) * loss;
  }
  return result;
}

}  // namespace torii::model
