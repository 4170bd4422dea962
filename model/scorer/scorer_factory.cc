#include "model/scorer/scorer_factory.h"

#include "model/scorer/inner_product.h"
#include "model/scorer/mlp_scorer.h"

namespace torii::model {

std::unique_ptr<Scorer> MakeScorer(const ScorerConfig& config, int64_t dim,
                                   DenseParameters& parameters) {
  if (config.has_mlp()) return MakeMlpScorer(config.mlp(), dim, parameters);
  const InnerProductScorer& product = config.inner_product();
  if (product.learned_temperature()) {
    return MakeInnerProductOfLearnedTemperature(product.temperature(), parameters);
  }
  return MakeInnerProduct(product.temperature());
}

}  // namespace torii::model
