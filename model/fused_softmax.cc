#include "model/fused_softmax.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/split_evenly.h"
#include "kernels/softmax.h"

namespace torii::model {
namespace {

kernels::SoftmaxKernelArgs ArgsOf(const SoftmaxProblem& problem) {
  kernels::SoftmaxKernelArgs args;
  args.q = problem.q.const_data_ptr<float>();
  args.v = problem.v.const_data_ptr<float>();
  args.column_offset = problem.column_offset.const_data_ptr<float>();
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

}  // namespace

FusedSoftmax ComputeFusedSoftmax(const SoftmaxProblem& problem) {
  FusedSoftmax out;
  out.result.q_grad = at::empty_like(problem.q);
  out.result.v_grad = at::zeros_like(problem.v);
  kernels::SoftmaxKernelArgs args = ArgsOf(problem);
  std::vector<double> row_loss(static_cast<size_t>(args.b));
  args.q_grad = out.result.q_grad.mutable_data_ptr<float>();
  args.row_loss = row_loss.data();
  float* v_grad = out.result.v_grad.mutable_data_ptr<float>();

  // Every thread takes one contiguous range of the rows; then one of the columns, whose gradients
  // it adds up in the order of the parts.
  const int threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  const int parts = static_cast<int>(std::min<int64_t>(threads, args.b));
  const kernels::SoftmaxColumns columns(args);
  std::vector<std::unique_ptr<kernels::SoftmaxWorker>> workers(static_cast<size_t>(parts));
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      auto& worker = workers[static_cast<size_t>(k)];
      worker = std::make_unique<kernels::SoftmaxWorker>(args, columns);
      const Range rows = SplitEvenly(args.b, parts, static_cast<int>(k));
      worker->Run(rows.begin, rows.end);
    }
  });
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const Range range = SplitEvenly(args.u, parts, static_cast<int>(k));
      for (const auto& worker : workers) worker->AddVGrad(range.begin, range.end, v_grad);
    }
  });

  const float* weight = problem.weight.const_data_ptr<float>();
  for (size_t i = 0; i < row_loss.size(); ++i) {
    if (!std::isfinite(row_loss[i])) {
      out.bad_row = static_cast<int64_t>(i);
      return out;
    }
    out.result.loss += static_cast<double>(weight[i]) * row_loss[i];
  }
  return out;
}

}  // namespace torii::model
