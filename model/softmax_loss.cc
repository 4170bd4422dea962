#include "model/softmax_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "model/fused_softmax.h"
#include "model/softmax_tile.h"

namespace torii::model {
namespace {

// The same problem with every tensor contiguous; ends the program if the shapes do not fit.
SoftmaxProblem Checked(const SoftmaxProblem& given) {
  SoftmaxProblem p = given;
  for (at::Tensor* t : {&p.q, &p.v, &p.column_offset, &p.positive, &p.positive_offset,
                        &p.target_offset, &p.weight, &p.excluded_begin, &p.excluded}) {
    if (t->defined()) *t = t->detach().contiguous();
  }
  const int64_t rows = p.q.size(0), columns = p.v.size(0);
  TORII_CHECK(p.temperature > 0, "temperature ", p.temperature);
  TORII_CHECK(p.q.size(1) == p.v.size(1), "q is ", p.q.size(1), " wide, v ", p.v.size(1));
  TORII_CHECK(p.column_offset.numel() == columns, p.column_offset.numel(), " column offsets, U ",
              columns);
  TORII_CHECK(p.positive.numel() == rows && p.positive_offset.numel() == rows &&
                  p.target_offset.numel() == rows && p.weight.numel() == rows,
              "row vectors of lengths ", p.positive.numel(), ", ", p.positive_offset.numel(), ", ",
              p.target_offset.numel(), ", ", p.weight.numel(), " for ", rows, " rows");
  for (const at::Tensor* t :
       {&p.v, &p.column_offset, &p.positive_offset, &p.target_offset, &p.weight}) {
    TORII_CHECK(t->scalar_type() == p.q.scalar_type(), "floating tensors of different types");
  }
  if (columns == 0) return p;
  const int64_t* positive = p.positive.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i) {
    TORII_CHECK(positive[i] >= 0 && positive[i] < columns, "row ", i, ": positive ", positive[i],
                " of ", columns, " columns");
  }
  if (!p.excluded_begin.defined()) return p;
  TORII_CHECK(p.excluded_begin.numel() == rows + 1, p.excluded_begin.numel(),
              " starts of lists for ", rows, " rows");
  const int64_t* excluded = p.excluded.const_data_ptr<int64_t>();
  for (int64_t e = 0; e < p.excluded.numel(); ++e) {
    TORII_CHECK(excluded[e] >= 0 && excluded[e] < columns, "excluded column ", excluded[e], " of ",
                columns);
  }
  return p;
}

// Rows [rows.begin, rows.end) tile by tile, in order. Ends early at a bad row.
template <typename T>
void RunRows(const SoftmaxProblem& problem, Range rows, int64_t tile_rows, at::Tensor& q_grad,
             SoftmaxPart* part) {
  const c10::NoGradGuard no_grad;
  SoftmaxTile<T> tile(problem, std::min(tile_rows, rows.size()));
  for (int64_t begin = rows.begin; begin < rows.end && part->bad.row < 0; begin += tile_rows) {
    tile.Run({begin, std::min(begin + tile_rows, rows.end)}, q_grad, part);
  }
}

absl::Status DivergedAt(const BadRow& bad, const SoftmaxProblem& problem) {
  return DivergedError(absl::StrCat("the loss of row ", bad.row, " of ", problem.q.size(0), " is ",
                                    bad.loss, " (logit of its positive ", bad.own_logit,
                                    ", largest logit of the others or it ", bad.largest_logit,
                                    ", temperature ", problem.temperature,
                                    "): lower the learning rates, clip the gradients, or look for "
                                    "extreme values in the features"));
}

// The same row once more, slowly, for the message.
BadRow Diagnose(const SoftmaxProblem& problem, int64_t row) {
  at::Tensor q_grad = at::empty_like(problem.q);
  SoftmaxPart part;
  part.v_grad = at::zeros_like(problem.v);
  RunRows<float>(problem, {row, row + 1}, 1, q_grad, &part);
  if (part.bad.row < 0) part.bad.row = row;
  return part.bad;
}

template <typename T>
absl::StatusOr<SoftmaxResult> Compute(const SoftmaxProblem& problem, int64_t tile_rows) {
  const int64_t rows = problem.q.size(0);
  SoftmaxResult result;
  result.q_grad = at::empty_like(problem.q);
  result.v_grad = at::zeros_like(problem.v);

  // Every thread takes one contiguous range of the rows and adds up its own gradient of v; the
  // parts are added in order, so the bits depend on the number of threads only.
  const int threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  const int num_parts = static_cast<int>(std::min<int64_t>(threads, rows));
  std::vector<SoftmaxPart> parts(static_cast<size_t>(num_parts));
  at::parallel_for(0, num_parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      SoftmaxPart& part = parts[static_cast<size_t>(k)];
      part.v_grad = k == 0 ? result.v_grad : at::zeros_like(problem.v);
      RunRows<T>(problem, SplitEvenly(rows, num_parts, static_cast<int>(k)), tile_rows,
                 result.q_grad, &part);
    }
  });
  for (size_t k = 0; k < parts.size(); ++k) {
    if (parts[k].bad.row >= 0) return DivergedAt(parts[k].bad, problem);
    result.loss += parts[k].loss;
    if (k > 0) result.v_grad.add_(parts[k].v_grad);
  }
  return result;
}

}  // namespace

absl::StatusOr<SoftmaxResult> SoftmaxLoss(const SoftmaxProblem& problem, int64_t tile_rows) {
  TORII_CHECK(tile_rows > 0, "tile_rows ", tile_rows);
  const c10::NoGradGuard no_grad;
  const SoftmaxProblem checked = Checked(problem);
  if (checked.q.size(0) == 0 || checked.v.size(0) == 0) {
    return SoftmaxResult{0, at::zeros_like(checked.q), at::zeros_like(checked.v)};
  }
  if (checked.q.scalar_type() == at::kDouble) return Compute<double>(checked, tile_rows);
  TORII_CHECK(checked.q.scalar_type() == at::kFloat, "q is neither float32 nor float64");
  FusedSoftmax fused = ComputeFusedSoftmax(checked);
  if (fused.bad_row >= 0) return DivergedAt(Diagnose(checked, fused.bad_row), checked);
  return std::move(fused.result);
}

}  // namespace torii::model
