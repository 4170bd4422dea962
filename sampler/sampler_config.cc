#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sampler/negative_sampler.h"

namespace torii::sampler {
namespace {

constexpr double kLargestAlpha = 10;

}  // namespace

void Validate(const SamplerConfig& config, const ConfigRules& rules) {
  rules.Require(config.uniform() >= 0, "uniform", config.uniform(), "at least 0");
  rules.Require(config.popularity() >= 0, "popularity", config.popularity(), "at least 0");
  // Beyond 10 the most popular item is all that is drawn, and powers of counts overflow.
  rules.Require(config.popularity_alpha() >= 0 && config.popularity_alpha() <= kLargestAlpha,
                "popularity_alpha", config.popularity_alpha(), "in [0, 10]");
  const QueueConfig& queue = config.queue();
  rules.Require(queue.size() >= 1, "queue.size", queue.size(), "at least 1");
  rules.Require(queue.after_steps() >= 0, "queue.after_steps", queue.after_steps(), "at least 0");
  std::vector<std::string> on = SourcesOf(config);
  rules.Require(!on.empty(), "",
                absl::StrCat("has no source of negatives: turn on one of ",
                             absl::StrJoin(SourceNames(), ", ")));
  if (!config.full_corpus()) return;
  std::erase(on, "full_corpus");
  rules.Require(on.empty(), "full_corpus",
                absl::StrCat("scores every item: turn off ", absl::StrJoin(on, " and "),
                             " (NONE, 0 or left out)"));
}

}  // namespace torii::sampler
