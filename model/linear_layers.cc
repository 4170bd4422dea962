#include "model/linear_layers.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <utility>

#include "base/check.h"

namespace torii::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What backward needs of a forward pass.
struct LayersPass : torch::CustomClassHolder {
  LayersPass(const kernels::Device& of, const at::Tensor& input, std::vector<LinearWeights> weights,
             bool scales)
      : device(of), layers(std::move(weights)), normalize(scales), x(input.detach().contiguous()) {}

  at::Tensor Forward(bool backward) {
    result = kernels::LinearStackForward(device, x, layers, normalize, backward);
    at::Tensor y = result.y;
    result.y = y.detach();  // without the graph, which holds this object
    return y;
  }

  const kernels::Device device;
  const std::vector<LinearWeights> layers;
  const bool normalize;
  const at::Tensor x;
  kernels::LinearResult result;
};

class LayersFunction : public torch::autograd::Function<LayersFunction> {
 public:
  // weights: weight and bias of each layer in turn.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::TensorList& weights, const kernels::Device* device,
                            bool normalize) {
    std::vector<LinearWeights> layers;
    for (size_t i = 0; i < weights.size(); i += 2) layers.push_back({weights[i], weights[i + 1]});
    auto pass = c10::make_intrusive<LayersPass>(*device, x, std::move(layers), normalize);
    at::Tensor y = pass->Forward(/*backward=*/true);
    context->saved_data["pass"] = c10::IValue::make_capsule(std::move(pass));
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto pass =
        c10::static_intrusive_pointer_cast<LayersPass>(context->saved_data["pass"].toCapsule());
    variable_list returned = kernels::LinearStackBackward(
        pass->device,
        {pass->x, pass->result, gradients[0].contiguous(), context->needs_input_grad(0)},
        pass->layers, pass->normalize);
    returned.resize(returned.size() + 2);  // of device and normalize
    return returned;
  }
};

at::Tensor Normalize(const at::Tensor& x) {
  constexpr double kMinLength = kernels::kMinLength;
  const at::Tensor length = x.norm(2, {1}, /*keepdim=*/true);
  const at::Tensor safe = at::where(length.detach() > kMinLength, x, x.detach());
  return safe / length.clamp_min(kMinLength);
}

}  // namespace

at::Tensor ComposedLinearLayers(at::Tensor x, const std::vector<LinearWeights>& layers,
                                bool normalize) {
  for (size_t l = 0; l < layers.size(); ++l) {
    x = at::linear(x, layers[l].weight, layers[l].bias);
    if (l + 1 < layers.size()) x = at::relu(x);
  }
  return normalize ? Normalize(x) : x;
}

at::Tensor LinearLayers(const at::Tensor& x, const std::vector<LinearWeights>& layers,
                        bool normalize, const kernels::Device& device) {
  TORII_CHECK(x.dim() == 2, "rows of ", x.dim(), " dimensions");
  if (layers.empty() && !normalize) return x;
  if (!kernels::HasLinearStack(device) || x.scalar_type() != at::kFloat) {
    return ComposedLinearLayers(x, layers, normalize);
  }
  variable_list weights;
  bool wants_gradient = x.requires_grad();
  for (const LinearWeights& layer : layers) {
    weights.push_back(layer.weight);
    weights.push_back(layer.bias);
    wants_gradient |= layer.weight.requires_grad() || layer.bias.requires_grad();
  }
  if (wants_gradient && at::GradMode::is_enabled()) {
    return LayersFunction::apply(x, at::TensorList(weights), &device, normalize);
  }
  return kernels::LinearStackForward(device, x.detach().contiguous(), layers, normalize,
                                     /*keep=*/false)
      .y;
}

}  // namespace torii::model
