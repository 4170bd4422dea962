#include "sampler/proposals.h"

#include <cmath>

#include "base/random.h"

namespace torii::sampler {

Proposals::Proposals(const SamplerConfig& config, std::span<const int64_t> item_counts)
    : config_(config),
      corrected_((config.in_batch() != SamplerConfig::NONE && config.correct_in_batch()) ||
                 (config.uniform() > 0 && config.correct_uniform()) ||
                 (config.popularity() > 0 && config.correct_popularity())) {
  double total = 0;
  for (const int64_t count : item_counts) total += static_cast<double>(count);
  share_.reserve(item_counts.size());
  for (const int64_t count : item_counts) share_.push_back(static_cast<double>(count) / total);

  if (config.popularity() > 0) {
    double sum = 0;
    for (const int64_t count : item_counts) {
      popularity_.push_back(std::pow(static_cast<double>(count), config.popularity_alpha()));
      sum += popularity_.back();
    }
    for (double& q : popularity_) q /= sum;
    alias_ = AliasTable(popularity_);
  }
}

double Proposals::ExpectedCount(int64_t item, int64_t in_batch) const {
  if (!corrected_) return 1;
  const auto i = static_cast<size_t>(item);
  const double uniform = 1 / static_cast<double>(num_items());
  double expected = 0;
  if (config_.in_batch() != SamplerConfig::NONE) {
    expected += static_cast<double>(in_batch) * (config_.correct_in_batch() ? share_[i] : uniform);
  }
  if (config_.uniform() > 0) expected += static_cast<double>(config_.uniform()) * uniform;
  if (config_.popularity() > 0) {
    expected += static_cast<double>(config_.popularity()) *
                (config_.correct_popularity() ? popularity_[i] : uniform);
  }
  return expected;
}

std::vector<int64_t> Proposals::DrawExtras(uint64_t seed, int64_t step) const {
  std::vector<int64_t> items;
  items.reserve(static_cast<size_t>(config_.uniform() + config_.popularity()));
  const RandomStream uniform(seed, "negatives:uniform", static_cast<uint64_t>(step));
  for (int64_t m = 0; m < config_.uniform(); ++m) {
    items.push_back(uniform.Below(static_cast<uint64_t>(m), num_items()));
  }
  const RandomStream popular(seed, "negatives:popularity", static_cast<uint64_t>(step));
  for (int64_t m = 0; m < config_.popularity(); ++m) {
    items.push_back(alias_.Draw(popular, static_cast<uint64_t>(m)));
  }
  return items;
}

}  // namespace torii::sampler
