#include "model/scorer/scorer_factory.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "model/scorer/inner_product.h"
#include "model/scorer/mlp_scorer.h"

namespace torii::model {
namespace {

void ValidateMlp(const MlpScorer& mlp, const ConfigRules& rules) {
  for (int i = 0; i < mlp.hidden_size(); ++i) {
    rules.Require(mlp.hidden(i) >= 1, absl::StrCat("hidden[", i, "]"), mlp.hidden(i), "at least 1");
  }
}

void ValidateInnerProduct(const InnerProductScorer& product, const ConfigRules& rules) {
  const double temperature = product.temperature();
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    rules.Break("temperature",
                absl::StrCat("must be positive, not ", temperature,
                             ": scores are divided by it; try 0.07 with normalize, 1 without"));
  } else if (product.learned_temperature() && 1 / temperature > kMostInverseTemperature) {
    rules.Break("temperature", absl::StrCat("must be at least ", 1 / kMostInverseTemperature,
                                            " to be learned, not ", temperature));
  }
}

}  // namespace

std::unique_ptr<Scorer> MakeScorer(const ScorerConfig& config, int64_t dim,
                                   DenseParameters& parameters) {
  if (config.has_mlp()) return MakeMlpScorer(config.mlp(), dim, parameters);
  const InnerProductScorer& product = config.inner_product();
  if (product.learned_temperature()) {
    return MakeInnerProductOfLearnedTemperature(product.temperature(), parameters);
  }
  return MakeInnerProduct(product.temperature());
}

bool IsInnerProduct(const ScorerConfig& config) { return !config.has_mlp(); }

void ValidateScorer(const ScorerConfig& config, const ConfigRules& rules) {
  ValidateMlp(config.mlp(), rules.In("mlp"));
  ValidateInnerProduct(config.inner_product(), rules.In("inner_product"));
}

}  // namespace torii::model
