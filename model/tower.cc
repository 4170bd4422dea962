#include "model/tower.h"

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "kernels/random_rows.h"
#include "model/linear_layers.h"
#include "model/pool_rows.h"

namespace torii::model {
namespace {

// Added to the variance in LayerNorm.
constexpr double kNormEpsilon = 1e-5;
constexpr double kLeakySlope = 0.01;

bool IsEmbedded(const TowerSource& source) {
  return source.kind != TowerSource::kDense && source.kind != TowerSource::kVector;
}

// Whether the source's floats go through a linear layer of its own before they are joined.
bool HasLinear(const TowerSource& source, const TowerConfig& config) {
  return source.kind == TowerSource::kVector ||
         (source.kind == TowerSource::kDense && config.combine() == TowerConfig::SUM);
}

at::Tensor Activate(const at::Tensor& x, TowerConfig::Activation activation) {
  switch (activation) {
    case TowerConfig::RELU:
      return at::relu(x);
    case TowerConfig::GELU:
      return at::gelu(x);
    case TowerConfig::TANH:
      return at::tanh(x);
    case TowerConfig::LEAKY_RELU:
      return at::leaky_relu(x, kLeakySlope);
    case TowerConfig::SILU:
      return at::silu(x);
  }
  TORII_CHECK(false, "activation ", static_cast<int>(activation));
}

// [n, E]: the rows of a source, picked or pooled.
at::Tensor Embed(const kernels::Device& device, const TowerSource& source,
                 const TowerConfig& config, const EmbeddedInput& input) {
  switch (source.kind) {
    case TowerSource::kId:
    case TowerSource::kSingle:
      return PickRows(input.rows, input.index, device);
    case TowerSource::kBag:
      return PoolRows(
          input.rows, input.index, input.offsets,
          config.pooling() == TowerConfig::SUM_ROWS ? BagPooling::kSum : BagPooling::kMean, device);
    case TowerSource::kHistory:
      return config.history().pooling() == HistoryConfig::RECENCY
                 ? PoolRecent(input.rows, input.index, input.offsets, config.history().half_life(),
                              device)
                 : PoolRows(input.rows, input.index, input.offsets, BagPooling::kMean, device);
    case TowerSource::kDense:
    case TowerSource::kVector:
      break;
  }
  TORII_CHECK(false, source.name, " is not embedded");
}

}  // namespace

Tower::Tower(const TowerPlan& plan, const TowerConfig& config, int64_t dim, bool normalize,
             DenseParameters& parameters)
    : plan_(plan), config_(config), dim_(dim), normalize_(normalize), parameters_(&parameters) {
  const int64_t input_width = config.combine() == TowerConfig::SUM ? dim : plan.embedding_dim;
  for (const TowerSource& source : plan.sources) {
    if (!HasLinear(source, config)) continue;
    inputs_.push_back(AddLinear({absl::StrCat(plan.side, ".encoder.", source.name),
                                 absl::StrCat(plan.side, ".input.", source.name)},
                                source.width, input_width, Init::kLinear));
  }
  int64_t width = plan.joined_width;
  for (int l = 0; l < config.hidden_size(); ++l) {
    const std::string name = absl::StrCat(plan.side, ".trunk.", l);
    HiddenLayer layer;
    layer.linear = AddLinear({name, absl::StrCat(plan.side, ".hidden", l)}, width, config.hidden(l),
                             Init::kHe);
    width = config.hidden(l);
    if (config.layer_norm()) {
      layer.norm_weight =
          parameters.Add({name + ".norm.weight", {width}, Init::kOne, /*decay=*/false});
      layer.norm_bias =
          parameters.Add({name + ".norm.bias", {width}, Init::kZero, /*decay=*/false});
    }
    hidden_.push_back(layer);
  }
  if (plan.has_final_linear) {
    final_ = AddLinear({plan.side + ".head", plan.side + ".final"}, width, dim, Init::kLinear);
  }
}

Tower::Linear Tower::AddLinear(const LayerName& layer, int64_t in, int64_t out, Init init) {
  return {
      parameters_->Add(
          {layer.name + ".weight", {out, in}, init, /*decay=*/true, layer.init_key + ".weight"}),
      parameters_->Add(
          {layer.name + ".bias", {out}, Init::kZero, /*decay=*/false, layer.init_key + ".bias"})};
}

LinearWeights Tower::Weights(const Linear& linear) const {
  return {parameters_->Get(linear.weight), parameters_->Get(linear.bias)};
}

at::Tensor Tower::Join(const TowerInput& input) const {
  std::vector<at::Tensor> parts;
  size_t embedded = 0, dense = 0, linear = 0;
  for (const TowerSource& source : plan_.sources) {
    if (IsEmbedded(source)) {
      TORII_CHECK(embedded < input.embedded.size(), "no rows for ", source.name);
      parts.push_back(Embed(parameters_->device(), source, config_, input.embedded[embedded++]));
    } else {
      TORII_CHECK(dense < input.dense.size(), "no floats for ", source.name);
      parts.push_back(input.dense[dense++]);
    }
    if (HasLinear(source, config_)) {
      parts.back() =
          LinearLayers(parts.back(), {Weights(inputs_[linear++])}, false, parameters_->device());
    }
    TORII_CHECK(parts.back().size(0) == input.n, source.name, " has ", parts.back().size(0),
                " rows, the input ", input.n);
  }
  TORII_CHECK(embedded == input.embedded.size() && dense == input.dense.size(), plan_.side,
              " tower: ", input.embedded.size(), " embedded and ", input.dense.size(),
              " dense inputs given, ", embedded, " and ", dense, " expected");
  if (config_.combine() == TowerConfig::CONCAT)
    return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  at::Tensor sum = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) sum = sum + parts[i];
  return sum;
}

bool Tower::Drops(const TowerInput& input, const DropoutStep& dropout) const {
  return dropout.training && config_.dropout() > 0 && input.dropout_key.defined();
}

at::Tensor Tower::Layers(at::Tensor x, const TowerInput& input, const DropoutStep& dropout) const {
  const bool drops = Drops(input, dropout);
  const bool is_plain =
      config_.activation() == TowerConfig::RELU && !config_.layer_norm() && !drops;
  std::vector<LinearWeights> stack;  // layers with nothing but ReLU between them
  for (size_t l = 0; l < hidden_.size(); ++l) {
    stack.push_back(Weights(hidden_[l].linear));
    if (is_plain) continue;  // the final layer follows
    x = LinearLayers(x, stack, /*normalize=*/false, parameters_->device());
    stack.clear();
    if (hidden_[l].norm_weight >= 0) {
      x = at::layer_norm(x, {x.size(1)}, parameters_->Get(hidden_[l].norm_weight),
                         parameters_->Get(hidden_[l].norm_bias), kNormEpsilon);
    }
    x = Activate(x, config_.activation());
    if (drops) {
      const RandomStream stream(dropout.seed, absl::StrCat("dropout:", plan_.side, ".", l),
                                static_cast<uint64_t>(dropout.step));
      x = x * kernels::DropoutMask(parameters_->device(), stream, input.dropout_key, x.size(1),
                                   config_.dropout());
    }
  }
  if (plan_.has_final_linear) stack.push_back(Weights(final_));
  return LinearLayers(x, stack, normalize_, parameters_->device());
}

at::Tensor Tower::Forward(const TowerInput& input, const DropoutStep& dropout) const {
  const bool is_single_row = plan_.sources.size() == 1 && IsEmbedded(plan_.sources[0]) &&
                             input.embedded.size() == 1 && !input.embedded[0].offsets.defined();
  if (is_single_row && !Drops(input, dropout) && input.embedded[0].rows.size(0) <= input.n) {
    // A function of the picked row alone: each distinct one goes through the layers once.
    const EmbeddedInput& only = input.embedded[0];
    TORII_CHECK(only.index.numel() == input.n, plan_.sources[0].name, " has ", only.index.numel(),
                " rows, the input ", input.n);
    return PickRows(Layers(only.rows, input, dropout), only.index, parameters_->device());
  }
  return Layers(Join(input), input, dropout);
}

}  // namespace torii::model
