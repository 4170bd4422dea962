#include "model/scorer/mlp_scorer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/layers.h"
#include "model/linear_layers.h"

namespace torii::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Pairs that go through the network at once.
constexpr int64_t kPairsOfATile = 4096;

std::vector<LinearWeights> AsLayers(at::TensorList weights) {
  std::vector<LinearWeights> layers;
  for (size_t i = 0; i < weights.size(); i += 2) layers.push_back({weights[i], weights[i + 1]});
  return layers;
}

// [...] from u and v [..., D], pair by pair. The kernels of LinearLayers give a row the same bits
// in any company.
at::Tensor ScoresOfPairs(const at::Tensor& u, const at::Tensor& v, at::TensorList weights,
                         const kernels::Device& device) {
  const at::Tensor features = at::cat({u, v, u * v}, -1);
  const at::Tensor scores =
      LinearLayers(features.flatten(0, -2), AsLayers(weights), /*normalize=*/false, device);
  return scores.view(u.sizes().slice(0, static_cast<size_t>(u.dim() - 1)));
}

// All pairs of q [r, D] and v [c, D]: [r, c].
at::Tensor ScoresOfTile(const at::Tensor& q, const at::Tensor& v, at::TensorList weights,
                        const kernels::Device& device) {
  const int64_t r = q.size(0), c = v.size(0), dim = q.size(1);
  return ScoresOfPairs(q.unsqueeze(1).expand({r, c, dim}), v.unsqueeze(0).expand({r, c, dim}),
                       weights, device);
}

// Rows and columns of a part of the [R, U] scores.
struct Tile {
  int64_t row, rows, column, columns;
  at::Tensor Of(const at::Tensor& scores) const {
    return scores.narrow(0, row, rows).narrow(1, column, columns);
  }
};

void ForEachTile(int64_t rows, int64_t columns, const std::function<void(const Tile&)>& visit) {
  const int64_t wide = std::clamp<int64_t>(columns, 1, kPairsOfATile);
  const int64_t high = std::max<int64_t>(1, kPairsOfATile / wide);
  for (int64_t row = 0; row < rows; row += high) {
    for (int64_t column = 0; column < columns; column += wide) {
      visit({row, std::min(high, rows - row), column, std::min(wide, columns - column)});
    }
  }
}

at::Tensor Leaf(const at::Tensor& x) { return x.detach().requires_grad_(); }

// The [R, U] scores, tile by tile. Keeps q, v and the weights for backward, which computes the
// network once more: the activations of R U pairs are never there together.
class TiledScores : public torch::autograd::Function<TiledScores> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& v,
                            const at::TensorList& weights, const kernels::Device* device) {
    context->saved_data["device"] = reinterpret_cast<int64_t>(device);
    variable_list saved{q, v};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(saved);
    at::Tensor scores = at::empty({q.size(0), v.size(0)}, q.options());
    ForEachTile(q.size(0), v.size(0), [&](const Tile& tile) {
      tile.Of(scores).copy_(ScoresOfTile(q.narrow(0, tile.row, tile.rows),
                                         v.narrow(0, tile.column, tile.columns), weights, *device));
    });
    return scores;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto& device =
        *reinterpret_cast<const kernels::Device*>(context->saved_data["device"].toInt());
    variable_list saved = context->get_saved_variables(), sums;
    for (const at::Tensor& each : saved) sums.push_back(at::zeros_like(each));
    variable_list weights;
    for (size_t i = 2; i < saved.size(); ++i) weights.push_back(Leaf(saved[i]));
    ForEachTile(saved[0].size(0), saved[1].size(0), [&](const Tile& tile) {
      const at::AutoGradMode with_graph(true);
      const at::Tensor q = Leaf(saved[0].narrow(0, tile.row, tile.rows));
      const at::Tensor v = Leaf(saved[1].narrow(0, tile.column, tile.columns));
      variable_list of{q, v};
      of.insert(of.end(), weights.begin(), weights.end());
      const variable_list parts = torch::autograd::grad({ScoresOfTile(q, v, weights, device)}, of,
                                                        {tile.Of(gradients[0]).contiguous()});
      const at::NoGradGuard no_grad;
      sums[0].narrow(0, tile.row, tile.rows).add_(parts[0]);
      sums[1].narrow(0, tile.column, tile.columns).add_(parts[1]);
      for (size_t i = 2; i < parts.size(); ++i) sums[i].add_(parts[i]);
    });
    sums.emplace_back();  // of the device
    return sums;
  }
};

class Mlp final : public Scorer {
 public:
  Mlp(const MlpScorer& config, int64_t dim, DenseParameters& parameters)
      : device_(parameters.device()) {
    std::vector<int64_t> widths(config.hidden().begin(), config.hidden().end());
    if (widths.empty()) widths = {kDefaultScorerWidth};
    int64_t in = 3 * dim;
    for (size_t l = 0; l <= widths.size(); ++l) {
      const bool last = l == widths.size();
      const int64_t out = last ? 1 : widths[l];
      layers_.emplace_back(LayerName{absl::StrCat("scorer.", l)}, in, out,
                           last ? Init::kLinear : Init::kHe, parameters);
      in = out;
    }
  }
  bool is_inner_product() const final { return false; }
  double temperature() const final { return 1; }
  at::Tensor Scores(const at::Tensor& q, const at::Tensor& v) const final {
    return TiledScores::apply(q, v, at::TensorList(Weights()), &device_);
  }
  at::Tensor PairScores(const at::Tensor& q, const at::Tensor& v) const final {
    return ScoresOfPairs(q, v, Weights(), device_);
  }
  at::Tensor ScaleQueries(const at::Tensor& q) const final { return q; }
  double divisor() const final { return 1; }
  at::Tensor QueryGradient(const at::Tensor&, const at::Tensor& gradient) const final {
    return gradient;
  }

 private:
  // Weight and bias of each layer in turn.
  variable_list Weights() const {
    variable_list weights;
    for (const Linear& layer : layers_) {
      const LinearWeights of_layer = layer.weights();
      weights.push_back(of_layer.weight);
      weights.push_back(of_layer.bias);
    }
    return weights;
  }

  const kernels::Device device_;
  std::vector<Linear> layers_;
};

}  // namespace

std::unique_ptr<Scorer> MakeMlpScorer(const MlpScorer& config, int64_t dim,
                                      DenseParameters& parameters) {
  return std::make_unique<Mlp>(config, dim, parameters);
}

}  // namespace torii::model
