#include "model/layers.h"

#include <ATen/ATen.h>

namespace torii::model {
namespace {

// Added to the variance in LayerNorm.
constexpr double kNormEpsilon = 1e-5;

int AddWeight(const LayerName& layer, const std::string& which, ParameterInfo info,
              DenseParameters& parameters) {
  info.name = layer.name + which;
  if (!layer.init_key.empty()) info.init_key = layer.init_key + which;
  return parameters.Add(std::move(info));
}

}  // namespace

Linear::Linear(const LayerName& name, int64_t in, int64_t out, Init init,
               DenseParameters& parameters)
    : parameters_(&parameters),
      weight_(AddWeight(name, ".weight", {"", {out, in}, init, /*decay=*/true}, parameters)),
      bias_(AddWeight(name, ".bias", {"", {out}, Init::kZero, /*decay=*/false}, parameters)) {}

LinearWeights Linear::weights() const {
  return {parameters_->Get(weight_), parameters_->Get(bias_)};
}

at::Tensor Linear::Forward(const at::Tensor& x) const {
  return LinearLayers(x, {weights()}, /*normalize=*/false, parameters_->device());
}

LayerNorm::LayerNorm(const LayerName& name, int64_t width, DenseParameters& parameters)
    : parameters_(&parameters),
      weight_(AddWeight(name, ".weight", {"", {width}, Init::kOne, /*decay=*/false}, parameters)),
      bias_(AddWeight(name, ".bias", {"", {width}, Init::kZero, /*decay=*/false}, parameters)) {}

at::Tensor LayerNorm::Forward(const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(1)}, parameters_->Get(weight_), parameters_->Get(bias_),
                        kNormEpsilon);
}

}  // namespace torii::model
