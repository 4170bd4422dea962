#include "model/trunk/trunk.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "model/trunk/mlp.h"
#include "model/trunk/residual.h"

namespace torii::model {
namespace {

using Problems = std::vector<std::string>;

void ValidateDropout(const std::string& place, double dropout, Problems* problems) {
  if (dropout >= 0 && dropout < 1) return;
  problems->push_back(
      absl::StrCat(place, ".dropout = ", dropout, ": must be at least 0 and below 1"));
}

Problems ValidateMlp(const std::string& place, const MlpTrunk& mlp) {
  Problems problems;
  for (int i = 0; i < mlp.hidden_size(); ++i) {
    if (mlp.hidden(i) >= 1) continue;
    problems.push_back(absl::StrCat(place, ".hidden[", i, "] = ", mlp.hidden(i),
                                    ": a layer's width must be at least 1"));
  }
  ValidateDropout(place, mlp.dropout(), &problems);
  return problems;
}

Problems ValidateResidual(const std::string& place, const ResidualTrunk& residual) {
  Problems problems;
  if (residual.blocks() < 1) {
    problems.push_back(absl::StrCat(place, ".blocks = ", residual.blocks(),
                                    ": must be at least 1; leave `trunk` out for none"));
  }
  if (residual.width() < 0) {
    problems.push_back(absl::StrCat(place, ".width = ", residual.width(),
                                    ": must be positive, or 0 for model.dim"));
  }
  if (residual.hidden() < 0) {
    problems.push_back(absl::StrCat(place, ".hidden = ", residual.hidden(),
                                    ": must be positive, or 0 for the width of the blocks"));
  }
  ValidateDropout(place, residual.dropout(), &problems);
  return problems;
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
  if (config.has_residual()) return config.residual().width() > 0 ? config.residual().width() : dim;
  const auto& hidden = config.mlp().hidden();
  return hidden.empty() ? in : hidden[hidden.size() - 1];
}

bool IsIdentity(const TrunkConfig& config) {
  return !config.has_residual() && config.mlp().hidden().empty();
}

Problems ValidateTrunk(const std::string& place, const TrunkConfig& config) {
  return config.has_residual() ? ValidateResidual(place + ".residual", config.residual())
                               : ValidateMlp(place + ".mlp", config.mlp());
}

}  // namespace torii::model
