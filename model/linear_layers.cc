#include "model/linear_layers.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <optional>
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
  at::Tensor Backward(const at::Tensor& y_grad, bool wants_x_grad) const;
  void AddWeightGradients(const at::Tensor& sums) const;

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

at::Tensor LayersPass::Backward(const at::Tensor& y_grad, bool wants_x_grad) const {
  const int64_t n = x.size(0);
  const int parts = PartsOf(n);
  at::Tensor x_grad = wants_x_grad ? at::empty(x.sizes(), at::kFloat) : at::Tensor();
  const at::Tensor sums = at::empty({parts, stack.sums_size()}, at::kFloat);
  const kernels::cpu::LinearRowsBackward all{
      .x = x.const_data_ptr<float>(),
      .y = y.const_data_ptr<float>(),
      .n = n,
      .kept = kept.const_data_ptr<float>(),
      .y_grad = y_grad.const_data_ptr<float>(),
      .x_grad = wants_x_grad ? x_grad.mutable_data_ptr<float>() : nullptr,
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
  AddWeightGradients(sums);
  return x_grad;
}

void LayersPass::AddWeightGradients(const at::Tensor& sums) const {
  std::vector<const float*> parts;
  for (int64_t part = 0; part < sums.size(0); ++part) {
    parts.push_back(sums.const_data_ptr<float>() + part * sums.size(1));
  }
  int64_t outputs = 0;  // of all layers
  for (const LinearWeights& layer : layers) outputs += layer.weight.size(0);
  if (outputs == 0) return;
  const int64_t grain = kGrainSums * outputs / (stack.sums_size() * sums.size(0));
  ParallelFor(0, outputs, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // of the layer
    for (size_t l = 0; l < layers.size(); ++l) {
      const at::Tensor &weight = layers[l].weight.grad(), &bias = layers[l].bias.grad();
      const int64_t from = std::max(begin - first, int64_t{0});
      const int64_t to = std::min(end - first, weight.size(0));
      if (from < to) {
        stack.AddSums(l, parts, from, to, weight.mutable_data_ptr<float>(),
                      bias.mutable_data_ptr<float>());
      }
      first += weight.size(0);
    }
  });
}

// `any_weight`, the first layer's, makes the result part of the graph where x is not.
class LayersFunction : public torch::autograd::Function<LayersFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const std::optional<at::Tensor>& any_weight,
                            const std::vector<LinearWeights>* layers, bool normalize) {
    (void)any_weight;
    auto pass = c10::make_intrusive<LayersPass>(x, *layers, normalize, /*backward=*/true);
    at::Tensor y = pass->Forward(/*backward=*/true);
    context->saved_data["pass"] = c10::IValue::make_capsule(std::move(pass));
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto pass =
        c10::static_intrusive_pointer_cast<LayersPass>(context->saved_data["pass"].toCapsule());
    const at::Tensor x_grad =
        pass->Backward(gradients[0].contiguous(), context->needs_input_grad(0));
    return {x_grad, at::Tensor(), at::Tensor(), at::Tensor()};
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
  std::optional<at::Tensor> any_weight;
  if (!layers.empty()) any_weight = layers.front().weight;
  const bool wanted = x.requires_grad() || (any_weight && any_weight->requires_grad());
  if (wanted && at::GradMode::is_enabled()) {
    return LayersFunction::apply(x, any_weight, &layers, normalize);
  }
  return LayersPass(x, layers, normalize, /*backward=*/false).Forward(/*backward=*/false);
}

}  // namespace torii::model
