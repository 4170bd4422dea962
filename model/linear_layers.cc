#include "model/linear_layers.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/parallel_for.h"
#include "base/split_evenly.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/variants.h"

namespace torii::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Multiply-adds and additions of sums that a thread should have to do at least, and rows that share
// a sum of weight gradients at least. There are at most kMostParts of these sums.
constexpr int64_t kGrainProducts = int64_t{1} << 18;
constexpr int64_t kGrainSums = int64_t{1} << 13;
constexpr int64_t kRowsOfAPart = 128;
constexpr int64_t kMostParts = 16;

// The number of sums is a function of the rows alone, so that the result is one too.
int PartsOf(int64_t rows) {
  int64_t parts = 1;
  while (parts < kMostParts && parts * kRowsOfAPart < rows) parts *= 2;
  return static_cast<int>(parts);
}

std::vector<kernels::LinearLayer> Pointers(const std::vector<LinearWeights>& layers) {
  std::vector<kernels::LinearLayer> pointers;
  for (const LinearWeights& layer : layers) {
    pointers.push_back({layer.weight.const_data_ptr<float>(), layer.bias.const_data_ptr<float>(),
                        layer.weight.size(1), layer.weight.size(0)});
  }
  return pointers;
}

// What backward needs of a forward pass.
struct LayersPass : torch::CustomClassHolder {
  LayersPass(const at::Tensor& input, const std::vector<LinearWeights>& weights, bool normalize,
             bool backward)
      : stack(input.size(1), Pointers(weights), {.normalize = normalize, .backward = backward}),
        layers(weights),
        x(input.detach().contiguous()) {}

  at::Tensor Forward(bool backward);
  // The gradients of x (undefined if not wanted) and of each layer's weight and bias.
  variable_list Backward(const at::Tensor& y_grad, bool wants_x_grad) const;
  void SumWeightGradients(const at::Tensor& sums, variable_list* gradients) const;

  const kernels::cpu::LinearStack stack;
  const std::vector<LinearWeights> layers;
  const at::Tensor x;
  at::Tensor y, kept;
};

at::Tensor LayersPass::Forward(bool backward) {
  const int64_t n = x.size(0), out = layers.empty() ? x.size(1) : layers.back().weight.size(0);
  at::Tensor result = at::empty({n, out}, at::kFloat);
  kernels::cpu::LinearRowsForward args{
      .x = x.const_data_ptr<float>(), .y = result.mutable_data_ptr<float>(), .n = n};
  if (backward) {
    kept = at::empty({n * stack.kept_width()}, at::kFloat);
    args.kept = kept.mutable_data_ptr<float>();
    y = result.detach();  // without the graph, which holds this object
  }
  const int64_t grain = kGrainProducts / std::max<int64_t>(1, stack.sums_size());
  ParallelFor(0, n, std::max<int64_t>(1, grain),
              [&](int64_t begin, int64_t end) { stack.Forward(args, begin, end); });
  return result;
}

variable_list LayersPass::Backward(const at::Tensor& y_grad, bool wants_x_grad) const {
  const int64_t n = x.size(0);
  const int parts = PartsOf(n);
  variable_list gradients;
  gradients.reserve(2 * layers.size() + 2);
  gradients.push_back(wants_x_grad ? at::empty(x.sizes(), at::kFloat) : at::Tensor());
  const at::Tensor sums = at::empty({parts, stack.sums_size()}, at::kFloat);
  const kernels::cpu::LinearRowsBackward all{
      .x = x.const_data_ptr<float>(),
      .y = y.const_data_ptr<float>(),
      .n = n,
      .kept = kept.const_data_ptr<float>(),
      .y_grad = y_grad.const_data_ptr<float>(),
      .x_grad = wants_x_grad ? gradients[0].mutable_data_ptr<float>() : nullptr,
      .sums = sums.mutable_data_ptr<float>()};
  ParallelFor(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      kernels::cpu::LinearRowsBackward args = all;
      args.sums += part * stack.sums_size();
      std::fill(args.sums, args.sums + stack.sums_size(), 0.0F);
      const Range rows = SplitEvenly(n, parts, static_cast<int>(part));
      stack.Backward(args, rows.begin, rows.end);
    }
  });
  SumWeightGradients(sums, &gradients);
  return gradients;
}

void LayersPass::SumWeightGradients(const at::Tensor& sums, variable_list* gradients) const {
  struct Pointers {
    float *weight, *bias;
    int64_t in, out;
  };
  std::vector<Pointers> to;
  int64_t outputs = 0;  // of all layers
  for (const LinearWeights& layer : layers) {
    const int64_t out = layer.weight.size(0), in = layer.weight.size(1);
    at::Tensor& weight = gradients->emplace_back(at::empty({out, in}, at::kFloat));
    at::Tensor& bias = gradients->emplace_back(at::empty({out}, at::kFloat));
    to.push_back({weight.mutable_data_ptr<float>(), bias.mutable_data_ptr<float>(), in, out});
    outputs += out;
  }
  if (outputs == 0) return;
  std::vector<const float*> parts;
  for (int64_t part = 0; part < sums.size(0); ++part) {
    parts.push_back(sums.const_data_ptr<float>() + part * sums.size(1));
  }
  const int64_t grain = kGrainSums * outputs / (stack.sums_size() * sums.size(0));
  ParallelFor(0, outputs, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // of the layer
    for (size_t l = 0; l < to.size(); ++l) {
      const int64_t from = std::max(begin - first, int64_t{0});
      const int64_t until = std::min(end - first, to[l].out);
      if (from < until) {
        std::fill(to[l].weight + from * to[l].in, to[l].weight + until * to[l].in, 0.0F);
        std::fill(to[l].bias + from, to[l].bias + until, 0.0F);
        stack.AddSums(l, parts, from, until, to[l].weight, to[l].bias);
      }
      first += to[l].out;
    }
  });
}

class LayersFunction : public torch::autograd::Function<LayersFunction> {
 public:
  // weights: weight and bias of each layer in turn.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::TensorList& weights, bool normalize) {
    std::vector<LinearWeights> layers;
    for (size_t i = 0; i < weights.size(); i += 2) layers.push_back({weights[i], weights[i + 1]});
    auto pass = c10::make_intrusive<LayersPass>(x, layers, normalize, /*backward=*/true);
    at::Tensor y = pass->Forward(/*backward=*/true);
    context->saved_data["pass"] = c10::IValue::make_capsule(std::move(pass));
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto pass =
        c10::static_intrusive_pointer_cast<LayersPass>(context->saved_data["pass"].toCapsule());
    variable_list returned =
        pass->Backward(gradients[0].contiguous(), context->needs_input_grad(0));
    returned.emplace_back();  // of normalize
    return returned;
  }
};

bool IsFloatOnCpu(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

// The portable kernels are slower than LibTorch's: they are for tests.
bool KernelsAreFaster() {
  return kernels::cpu::RunnableLinearVariants().front() != kernels::cpu::kLinearBaseline;
}

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
                        bool normalize) {
  TORII_CHECK(x.dim() == 2, "rows of ", x.dim(), " dimensions");
  if (layers.empty() && !normalize) return x;
  if (!IsFloatOnCpu(x) || !KernelsAreFaster()) return ComposedLinearLayers(x, layers, normalize);
  variable_list weights;
  bool wants_gradient = x.requires_grad();
  for (const LinearWeights& layer : layers) {
    weights.push_back(layer.weight);
    weights.push_back(layer.bias);
    wants_gradient |= layer.weight.requires_grad() || layer.bias.requires_grad();
  }
  if (wants_gradient && at::GradMode::is_enabled()) {
    return LayersFunction::apply(x, at::TensorList(weights), normalize);
  }
  return LayersPass(x, layers, normalize, /*backward=*/false).Forward(/*backward=*/false);
}

}  // namespace torii::model
