#include "model/pool_rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/check.h"
#include "kernels/pooled_rows.h"

namespace torii::model {
namespace {

using kernels::RowListTensors;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Pooling : torch::CustomClassHolder {
  Pooling(const kernels::Device& of, RowListTensors of_rows, int64_t count)
      : device(of), lists(std::move(of_rows)), rows(count) {}
  const kernels::Device device;
  const RowListTensors lists;
  const int64_t rows;  // to pick from
};

// rows [distinct, E] -> [n, E].
class PoolFunction : public torch::autograd::Function<PoolFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows,
                            const kernels::Device* device, const RowListTensors* lists) {
    auto pooling = c10::make_intrusive<Pooling>(*device, *lists, rows.size(0));
    context->saved_data["pooling"] = c10::IValue::make_capsule(std::move(pooling));
    return kernels::PoolRows(*device, rows, *lists);
  }

  // The sum over the uses of each row.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto pooling =
        c10::static_intrusive_pointer_cast<Pooling>(context->saved_data["pooling"].toCapsule());
    return {kernels::PoolRowsBackward(pooling->device, gradients[0], pooling->lists, pooling->rows),
            at::Tensor(), at::Tensor()};
  }
};

at::Tensor Pool(const kernels::Device& device, const at::Tensor& rows,
                const RowListTensors& lists) {
  return PoolFunction::apply(rows, &device, &lists);
}

}  // namespace

at::Tensor PickRows(const at::Tensor& rows, const at::Tensor& index,
                    const kernels::Device& device) {
  if (!index.defined()) return rows;
  const at::Tensor picked = index.contiguous();
  if (kernels::IsKnownIdentity(device, picked, rows.size(0))) return rows;
  return Pool(device, rows, {.index = picked, .offsets = {}, .weights = {}, .scales = {}});
}

at::Tensor PoolRows(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                    BagPooling pooling, const kernels::Device& device) {
  TORII_CHECK(offsets.numel() >= 1, "lists without offsets");
  const at::Tensor begin = offsets.contiguous();
  return Pool(device, rows,
              {.index = index.contiguous(),
               .offsets = begin,
               .weights = {},
               .scales = pooling == BagPooling::kMean ? kernels::InverseLengths(device, begin)
                                                      : at::Tensor()});
}

at::Tensor PoolRecent(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                      double half_life, const kernels::Device& device) {
  TORII_CHECK(offsets.numel() >= 1, "lists without offsets");
  const at::Tensor begin = offsets.contiguous();
  return Pool(device, rows,
              {.index = index.contiguous(),
               .offsets = begin,
               .weights = kernels::RecencyWeights(device, begin, index.numel(), half_life),
               .scales = {}});
}

}  // namespace torii::model
