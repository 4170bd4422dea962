#include "kernels/linear_stack.h"

#include <ATen/ATen.h>

#include "base/check.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

void CheckFloats(const at::Tensor& x, int64_t dimensions, const char* what) {
  TORII_CHECK(x.dim() == dimensions && x.scalar_type() == at::kFloat && x.is_contiguous(), what,
              ": ", x.toString(), " of ", x.dim(), " dimensions");
}

std::vector<LinearLayer> PointersTo(const Device& device, std::span<const LinearWeights> layers) {
  std::vector<LinearLayer> pointers;
  pointers.reserve(layers.size());
  for (const LinearWeights& layer : layers) {
    CheckFloats(layer.weight, 2, "a layer's weight");
    CheckFloats(layer.bias, 1, "a layer's bias");
    CheckOnDevice(device, "linear layers", layer.weight, layer.bias);
    pointers.push_back({layer.weight.const_data_ptr<float>(), layer.bias.const_data_ptr<float>(),
                        layer.weight.size(1), layer.weight.size(0)});
  }
  return pointers;
}

LinearStackArgs StackOf(const std::vector<LinearLayer>& layers, int64_t in, bool normalize) {
  return {.layers = layers.data(),
          .num_layers = std::ssize(layers),
          .in = in,
          .out = layers.empty() ? in : layers.back().out,
          .normalize = normalize};
}

}  // namespace

bool HasLinearStack(const Device& device) { return device.kernels().linear_forward != nullptr; }

LinearResult LinearStackForward(const Device& device, const at::Tensor& x,
                                std::span<const LinearWeights> layers, bool normalize, bool keep) {
  CheckFloats(x, 2, "rows");
  CheckOnDevice(device, "linear layers", x);
  const std::vector<LinearLayer> pointers = PointersTo(device, layers);
  const LinearStackArgs stack = StackOf(pointers, x.size(1), normalize);
  const int64_t n = x.size(0);
  LinearResult result;
  result.y = at::empty({n, stack.out}, x.options());
  LinearForwardArgs args{
      .x = x.const_data_ptr<float>(), .y = result.y.mutable_data_ptr<float>(), .n = n};
  if (keep) {
    result.kept = at::empty({device.kernels().linear_kept_floats(stack, n)}, x.options());
    args.kept = result.kept.mutable_data_ptr<float>();
  }
  device.kernels().linear_forward(stack, args);
  return result;
}

std::vector<at::Tensor> LinearStackBackward(const Device& device, const LinearWayBack& pass,
                                            std::span<const LinearWeights> layers, bool normalize) {
  CheckFloats(pass.x, 2, "rows");
  CheckFloats(pass.y_grad, 2, "gradients");
  TORII_CHECK(pass.forward.kept.defined(), "a forward pass that kept nothing");
  CheckOnDevice(device, "linear layers", pass.x, pass.y_grad);
  const std::vector<LinearLayer> pointers = PointersTo(device, layers);
  std::vector<at::Tensor> gradients;
  gradients.reserve(1 + 2 * layers.size());
  gradients.push_back(pass.wants_x_grad ? at::empty(pass.x.sizes(), pass.x.options())
                                        : at::Tensor());
  std::vector<float*> weights, biases;
  for (const LinearWeights& layer : layers) {
    weights.push_back(gradients.emplace_back(at::empty(layer.weight.sizes(), pass.x.options()))
                          .mutable_data_ptr<float>());
    biases.push_back(gradients.emplace_back(at::empty(layer.bias.sizes(), pass.x.options()))
                         .mutable_data_ptr<float>());
  }
  device.kernels().linear_backward(
      StackOf(pointers, pass.x.size(1), normalize),
      {.x = pass.x.const_data_ptr<float>(),
       .y = pass.forward.y.const_data_ptr<float>(),
       .n = pass.x.size(0),
       .kept = pass.forward.kept.const_data_ptr<float>(),
       .y_grad = pass.y_grad.const_data_ptr<float>(),
       .x_grad = pass.wants_x_grad ? gradients[0].mutable_data_ptr<float>() : nullptr,
       .weight_grad = weights.data(),
       .bias_grad = biases.data()});
  return gradients;
}

}  // namespace torii::kernels
