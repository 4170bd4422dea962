#include "model/trunk/trunk.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "model/trunk/mlp.h"
#include "model/trunk/residual.h"

namespace torii::model {
namespace {

void ValidateMlp(const MlpTrunk& mlp, const ConfigRules& rules) {
  for (int i = 0; i < mlp.hidden_size(); ++i) {
    rules.Require(mlp.hidden(i) >= 1, absl::StrCat("hidden[", i, "]"), mlp.hidden(i), "at least 1");
  }
  rules.Require(mlp.dropout() >= 0 && mlp.dropout() < 1, "dropout", mlp.dropout(),
                "at least 0 and below 1");
}

void ValidateResidual(const ResidualTrunk& residual, const ConfigRules& rules) {
  rules.Require(residual.blocks() >= 1, "blocks", residual.blocks(), "at least 1");
  rules.Require(residual.width() >= 0, "width", residual.width(), "positive, or 0 for model.dim");
  rules.Require(residual.hidden() >= 0, "hidden", residual.hidden(),
                "positive, or 0 for the width of the blocks");
  rules.Require(residual.dropout() >= 0 && residual.dropout() < 1, "dropout", residual.dropout(),
                "at least 0 and below 1");
}

}  // namespace

at::Tensor LayeredRows::Apply() const {
  return layers.empty() ? x : at::relu(LinearLayers(x, layers, /*normalize=*/false, device));
}

std::unique_ptr<Trunk> MakeTrunk(const TrunkConfig& config, const TrunkPlace& place,
                                 DenseParameters& parameters) {
  switch (config.kind_case()) {
    case TrunkConfig::kResidual:
      return MakeResidualTrunk(config.residual(), place, parameters);
    case TrunkConfig::kMlp:
    case TrunkConfig::KIND_NOT_SET:
      break;
  }
  return MakeMlpTrunk(config.mlp(), place, parameters);
}

int64_t TrunkWidth(const TrunkConfig& config, int64_t in, int64_t dim) {
  switch (config.kind_case()) {
    case TrunkConfig::kResidual:
      return config.residual().width() > 0 ? config.residual().width() : dim;
    case TrunkConfig::kMlp:
    case TrunkConfig::KIND_NOT_SET:
      break;
  }
  const auto& hidden = config.mlp().hidden();
  return hidden.empty() ? in : hidden[hidden.size() - 1];
}

bool IsIdentity(const TrunkConfig& config) {
  const bool is_mlp = config.has_mlp() || config.kind_case() == TrunkConfig::KIND_NOT_SET;
  return is_mlp && config.mlp().hidden().empty();
}

void ValidateTrunk(const TrunkConfig& config, const ConfigRules& rules) {
  switch (config.kind_case()) {
    case TrunkConfig::kResidual:
      return ValidateResidual(config.residual(), rules.In("residual"));
    case TrunkConfig::kMlp:
    case TrunkConfig::KIND_NOT_SET:
      break;
  }
  ValidateMlp(config.mlp(), rules.In("mlp"));
}

}  // namespace torii::model
