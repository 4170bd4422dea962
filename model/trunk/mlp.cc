#include "model/trunk/mlp.h"

#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/layers.h"
#include "model/trunk/activation.h"

namespace torii::model {
namespace {

class Mlp final : public Trunk {
 public:
  Mlp(const MlpTrunk& config, const TrunkPlace& place, DenseParameters& parameters)
      : config_(config), dropout_prefix_(place.dropout), width_(place.in) {
    for (int l = 0; l < config.hidden_size(); ++l) {
      const std::string name = absl::StrCat(place.name, ".", l);
      const LayerName layer{name, absl::StrCat(place.init_key, l)};
      linear_.emplace_back(layer, width_, config.hidden(l), Init::kHe, parameters);
      width_ = config.hidden(l);
      if (config.layer_norm()) norms_.emplace_back(LayerName{name + ".norm"}, width_, parameters);
    }
  }
  int64_t width() const final { return width_; }
  bool has_dropout() const final { return config_.dropout() > 0 && !linear_.empty(); }

  LayeredRows Forward(LayeredRows rows, const RowDropout& dropout) const final {
    const bool drops = has_dropout() && dropout.is_on();
    if (linear_.empty()) return rows;
    if (config_.activation() == RELU && !config_.layer_norm() && !drops) {
      for (const Linear& linear : linear_) rows.layers.push_back(linear.weights());
      return rows;
    }
    at::Tensor x = rows.Apply();
    for (size_t l = 0; l < linear_.size(); ++l) {
      x = linear_[l].Forward(x);
      if (config_.layer_norm()) x = norms_[l].Forward(x);
      x = Activate(x, config_.activation());
      x = dropout.Apply(x, absl::StrCat(dropout_prefix_, l), config_.dropout());
    }
    return {x, {}, rows.device};
  }

 private:
  const MlpTrunk config_;
  const std::string dropout_prefix_;
  int64_t width_;
  std::vector<Linear> linear_;
  std::vector<LayerNorm> norms_;  // one for each layer, or none
};

}  // namespace

std::unique_ptr<Trunk> MakeMlpTrunk(const MlpTrunk& config, const TrunkPlace& place,
                                    DenseParameters& parameters) {
  return std::make_unique<Mlp>(config, place, parameters);
}

}  // namespace torii::model
