#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sampler/negative_sampler.h"

namespace torii::sampler {

std::vector<std::string> Validate(const SamplerConfig& config) {
  std::vector<std::string> errors;
  if (config.uniform() < 0) {
    errors.push_back(absl::StrCat("uniform is ", config.uniform(), ": it must be at least 0"));
  }
  if (config.popularity() < 0) {
    errors.push_back(
        absl::StrCat("popularity is ", config.popularity(), ": it must be at least 0"));
  }
  if (!(config.popularity_alpha() >= 0) || !std::isfinite(config.popularity_alpha())) {
    errors.push_back(absl::StrCat("popularity_alpha is ", config.popularity_alpha(),
                                  ": it must be at least 0 (usual: 0.5 to 1)"));
  }
  const bool extras = config.uniform() > 0 || config.popularity() > 0;
  // An in_batch that the user did not write down is no contradiction to full_corpus.
  const bool in_batch = config.in_batch() != SamplerConfig::NONE;
  if (config.full_corpus() && (extras || (in_batch && config.has_in_batch()))) {
    errors.push_back(
        "full_corpus scores every item: set in_batch to NONE, uniform and popularity to 0");
  }
  if (!config.full_corpus() && !extras && !in_batch) {
    errors.push_back(
        "no source of negatives: set in_batch to WORLD, or uniform or popularity above 0, or "
        "full_corpus");
  }
  return errors;
}

}  // namespace torii::sampler
