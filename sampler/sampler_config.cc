#include <cmath>

#include "sampler/negative_sampler.h"

namespace torii::sampler {

void Validate(const SamplerConfig& config, const ConfigRules& rules) {
  rules.Require(config.uniform() >= 0, "uniform", config.uniform(), "at least 0");
  rules.Require(config.popularity() >= 0, "popularity", config.popularity(), "at least 0");
  rules.Require(config.popularity_alpha() >= 0 && std::isfinite(config.popularity_alpha()),
                "popularity_alpha", config.popularity_alpha(),
                "a finite number of at least 0 (usual: 0.5 to 1)");
  const bool extras = config.uniform() > 0 || config.popularity() > 0;
  // An in_batch that the user did not write down does not contradict full_corpus.
  const bool in_batch = config.in_batch() != SamplerConfig::NONE;
  rules.Require(!config.full_corpus() || (!extras && !(in_batch && config.has_in_batch())),
                "full_corpus",
                "scores every item: set in_batch to NONE, uniform and popularity to 0");
  rules.Require(config.full_corpus() || extras || in_batch, "",
                "has no source of negatives: set in_batch to WORLD, or uniform or popularity "
                "above 0, or full_corpus");
}

}  // namespace torii::sampler
