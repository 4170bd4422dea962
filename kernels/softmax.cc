#include "kernels/softmax.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

void CheckTensor(const at::Tensor& x, int64_t size, at::ScalarType type, const char* what) {
  TORII_CHECK(x.numel() == size && x.scalar_type() == type && x.is_contiguous(), what, ": ",
              x.toString(), " of ", x.numel(), " elements, expected ", size);
}

void CheckShapes(const SoftmaxTensors& t, const SoftmaxResults& results) {
  const int64_t rows = t.positive.numel(), queries = t.q.size(0), columns = t.v.size(0);
  TORII_CHECK(t.q.dim() == 2 && t.v.dim() == 2 && t.q.size(1) == t.v.size(1), "q is ", t.q.size(1),
              " wide, v ", t.v.size(1));
  CheckTensor(t.q, t.q.numel(), at::kFloat, "q");
  CheckTensor(t.v, t.v.numel(), at::kFloat, "v");
  CheckTensor(t.column_offset, columns, at::kFloat, "column offsets");
  CheckTensor(t.positive_offset, rows, at::kFloat, "positive offsets");
  CheckTensor(t.target_offset, rows, at::kFloat, "target offsets");
  CheckTensor(t.weight, rows, at::kFloat, "row weights");
  if (t.row_begin.defined()) {
    CheckTensor(t.row_begin, queries + 1, at::kLong, "beginnings of rows");
  } else {
    TORII_CHECK(queries == rows, queries, " queries for ", rows, " rows");
  }
  if (t.excluded_begin.defined()) {
    CheckTensor(t.excluded_begin, queries + 1, at::kLong, "beginnings of excluded columns");
    CheckTensor(t.excluded, t.excluded.numel(), at::kLong, "excluded columns");
  }
  CheckTensor(t.positive, rows, at::kLong, "positives");
  CheckTensor(results.loss, 1, at::kDouble, "loss");
  CheckTensor(results.row_loss, rows, at::kDouble, "losses of the rows");
  CheckTensor(results.q_grad, t.q.numel(), at::kFloat, "gradient of q");
  CheckTensor(results.v_grad, t.v.numel(), at::kFloat, "gradient of v");
}

SoftmaxArgs PointersTo(const SoftmaxTensors& t, const SoftmaxResults& results) {
  SoftmaxArgs args;
  args.q = t.q.const_data_ptr<float>();
  args.v = t.v.const_data_ptr<float>();
  args.column_offset = t.column_offset.const_data_ptr<float>();
  if (t.row_begin.defined()) args.row_begin = t.row_begin.const_data_ptr<int64_t>();
  args.positive = t.positive.const_data_ptr<int64_t>();
  args.positive_offset = t.positive_offset.const_data_ptr<float>();
  args.target_offset = t.target_offset.const_data_ptr<float>();
  args.weight = t.weight.const_data_ptr<float>();
  if (t.excluded_begin.defined()) {
    args.excluded_begin = t.excluded_begin.const_data_ptr<int64_t>();
    args.excluded = t.excluded.const_data_ptr<int64_t>();
  }
  args.b = t.q.size(0);
  args.u = t.v.size(0);
  args.dim = t.q.size(1);
  args.rows = t.positive.numel();
  args.num_excluded = t.excluded_begin.defined() ? t.excluded.numel() : 0;
  args.inverse_temperature = t.inverse_temperature;
  args.q_grad = results.q_grad.mutable_data_ptr<float>();
  args.v_grad = results.v_grad.mutable_data_ptr<float>();
  args.row_loss = results.row_loss.mutable_data_ptr<double>();
  args.loss = results.loss.mutable_data_ptr<double>();
  return args;
}

bool HasKernels(const Device& device) { return device.kernels().softmax != nullptr; }

bool HasKernel(const Device& device, SoftmaxPrecision precision, int64_t dim) {
  const DeviceKernels& kernels = device.kernels();
  return HasKernels(device) &&
         (kernels.has_softmax == nullptr || kernels.has_softmax(precision, dim));
}

// A GPU has thousands of rows to do before a launch pays; a core keeps a block in its caches.
SoftmaxBlocks BlocksFor(const Device& device) {
  if (device.is_host()) return {.most_rows = 256, .most_floats = int64_t{1} << 22};
  return {.most_rows = 8192, .most_floats = int64_t{1} << 25};
}

// 32 MB, about what its cache keeps from one operation to the next; more where that were too few
// rows to keep a GPU busy.
SoftmaxBlocks BlocksOfProducts(int64_t columns) {
  constexpr int64_t kFewestRows = 512;
  constexpr int64_t kFloats = int64_t{1} << 23, kMostFloats = int64_t{1} << 25;
  return {.most_rows = 4096,
          .most_floats = std::clamp(kFewestRows * columns, kFloats, kMostFloats)};
}

}  // namespace

Softmax::Softmax(const Device& device, SoftmaxPrecision precision)
    : device_(device), precision_(precision), memory_(nullptr, device.kernels().delete_softmax) {
  if (HasKernels(device)) memory_.reset(device.kernels().new_softmax(precision));
}

void Softmax::Compute(const SoftmaxTensors& tensors, const SoftmaxResults& results) {
  const SoftmaxTensors& t = tensors;
  CheckOnDevice(device_, "Softmax", t.q, t.v, t.column_offset, t.row_begin, t.positive,
                t.positive_offset, t.target_offset, t.weight, t.excluded_begin, t.excluded,
                results.loss, results.row_loss, results.q_grad, results.v_grad);
  CheckShapes(tensors, results);
  if (HasKernel(device_, precision_, t.q.size(1))) {
    return device_.kernels().softmax(memory_.get(), PointersTo(t, results));
  }
  if (device_.kernels().softmax_rows != nullptr) {
    return SoftmaxOfProducts(device_, t, results, BlocksOfProducts(t.v.size(0)),
                             PointersTo(t, results));
  }
  ComposedSoftmax(t, BlocksFor(device_), results);
}

const char* Softmax::name() const {
  return HasKernels(device_) ? device_.kernels().softmax_name(precision_) : "composed";
}

}  // namespace torii::kernels
