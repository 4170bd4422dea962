#include "model/trunk/residual.h"

#include <ATen/ATen.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "model/layers.h"
#include "model/trunk/activation.h"

namespace torii::model {
namespace {

class Residual final : public Trunk {
 public:
  Residual(const ResidualTrunk& config, const TrunkPlace& place, DenseParameters& parameters)
      : config_(config),
        dropout_prefix_(place.dropout),
        width_(config.width() > 0 ? config.width() : place.dim) {
    const int64_t hidden = config.hidden() > 0 ? config.hidden() : width_;
    int64_t in = place.in;
    if (in != width_) {
      projection_.emplace(LayerName{place.name + ".projection"}, in, width_, Init::kLinear,
                          parameters);
    }
    for (int b = 0; b < config.blocks(); ++b) {
      const std::string name = absl::StrCat(place.name, ".", b);
      blocks_.push_back({{{name + ".norm"}, in, parameters},
                         {{name + ".expand"}, in, hidden, Init::kHe, parameters},
                         {{name + ".contract"}, hidden, width_, Init::kZero, parameters}});
      in = width_;
    }
  }
  int64_t width() const final { return width_; }
  bool has_dropout() const final { return config_.dropout() > 0; }

  LayeredRows Forward(LayeredRows rows, const RowDropout& dropout) const final {
    at::Tensor x = rows.Apply();
    for (size_t b = 0; b < blocks_.size(); ++b) {
      const at::Tensor skip = b == 0 && projection_.has_value() ? projection_->Forward(x) : x;
      const at::Tensor added = Added(blocks_[b], blocks_[b].norm.Forward(x), rows.device);
      x = skip + dropout.Apply(added, absl::StrCat(dropout_prefix_, b), config_.dropout());
    }
    return {x, {}, rows.device};
  }

 private:
  struct Block {
    LayerNorm norm;
    Linear expand, contract;  // W1, W2
  };

  at::Tensor Added(const Block& block, const at::Tensor& x, const kernels::Device& device) const {
    if (config_.activation() == RELU) {
      return LinearLayers(x, {block.expand.weights(), block.contract.weights()},
                          /*normalize=*/false, device);
    }
    return block.contract.Forward(Activate(block.expand.Forward(x), config_.activation()));
  }

  const ResidualTrunk config_;
  const std::string dropout_prefix_;
  const int64_t width_;
  std::optional<Linear> projection_;  // of the first block's input, if that has another width
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<Trunk> MakeResidualTrunk(const ResidualTrunk& config, const TrunkPlace& place,
                                         DenseParameters& parameters) {
  return std::make_unique<Residual>(config, place, parameters);
}

}  // namespace torii::model
