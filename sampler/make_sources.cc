#include "sampler/source.h"

namespace torii::sampler {

std::vector<std::unique_ptr<Source>> MakeSources(const SamplerConfig& config,
                                                 const SourceContext& context) {
  std::vector<std::unique_ptr<Source>> sources;
  if (config.full_corpus()) {
    sources.push_back(MakeCorpusSource(config, context));
    return sources;
  }
  if (config.in_batch() != SamplerConfig::NONE) {
    sources.push_back(MakeInBatchSource(config, context));
  }
  if (config.uniform() > 0) sources.push_back(MakeUniformSource(config, context));
  if (config.popularity() > 0) sources.push_back(MakePopularitySource(config, context));
  return sources;
}

}  // namespace torii::sampler
