#include "sampler/source.h"

namespace torii::sampler {
namespace {

struct Kind {
  const char* name;  // of its field, of Source::name()
  bool (*is_on)(const SamplerConfig& config);
  std::unique_ptr<Source> (*make)(const SamplerConfig& config, const SourceContext& context);
};

using Config = SamplerConfig;

// An in_batch that the user did not write down gives way to full_corpus.
bool IsInBatch(const Config& c) {
  return c.in_batch() != Config::NONE && (c.has_in_batch() || !c.full_corpus());
}

// The order is that of the facts about columns: new ones go to the end.
constexpr Kind kKinds[] = {
    {"in_batch", IsInBatch, MakeInBatchSource},
    {"uniform", [](const Config& c) { return c.uniform() > 0; }, MakeUniformSource},
    {"popularity", [](const Config& c) { return c.popularity() > 0; }, MakePopularitySource},
    {"full_corpus", [](const Config& c) { return c.full_corpus(); }, MakeCorpusSource},
    {"queue", [](const Config& c) { return c.has_queue(); }, MakeQueueSource},
};

}  // namespace

std::vector<double> TrainingShares(const SourceContext& context) {
  double total = 0;
  for (const int64_t count : context.item_counts) total += static_cast<double>(count);
  std::vector<double> share;
  share.reserve(context.item_counts.size());
  for (const int64_t count : context.item_counts) {
    share.push_back(static_cast<double>(count) / total);
  }
  return share;
}

std::vector<std::string> SourceNames() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

std::vector<std::string> SourcesOf(const SamplerConfig& config) {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) {
    if (kind.is_on(config)) names.emplace_back(kind.name);
  }
  return names;
}

std::vector<std::unique_ptr<Source>> MakeSources(const SamplerConfig& config,
                                                 const SourceContext& context) {
  std::vector<std::unique_ptr<Source>> sources;
  for (const Kind& kind : kKinds) {
    if (kind.is_on(config)) sources.push_back(kind.make(config, context));
  }
  return sources;
}

}  // namespace torii::sampler
