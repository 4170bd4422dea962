// Items drawn with probability proportional to (training interactions)^alpha.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "sampler/alias_table.h"
#include "sampler/source.h"

namespace torii::sampler {
namespace {

// [C]
std::vector<double> Probabilities(double alpha, const SourceContext& context) {
  std::vector<double> probability;
  double sum = 0;
  for (const int64_t count : context.item_counts) {
    probability.push_back(std::pow(static_cast<double>(count), alpha));
    sum += probability.back();
  }
  for (double& p : probability) p /= sum;
  return probability;
}

class PopularityDraw final : public ItemDraw {
 public:
  PopularityDraw(const SamplerConfig& config, const SourceContext& context)
      : alias_(Probabilities(config.popularity_alpha(), context)) {}
  int64_t Draw(const RandomStream& stream, uint64_t index) const final {
    return alias_.Draw(stream, index);
  }

 private:
  const AliasTable alias_;
};

class PopularitySource final : public Source {
 public:
  PopularitySource(const SamplerConfig& config, const SourceContext& context)
      : draws_(config.popularity()),
        alpha_(config.popularity_alpha()),
        seed_(context.seed),
        probability_(Probabilities(alpha_, context)),
        alias_(probability_) {}

  std::string_view name() const final { return "popularity"; }
  std::string Description() const final { return absl::StrCat(draws_, " by popularity^", alpha_); }
  Drawn Draw(int64_t step) const final {
    Drawn drawn;
    drawn.items.reserve(static_cast<size_t>(draws_));
    const RandomStream stream(seed_, "negatives:popularity", static_cast<uint64_t>(step));
    for (int64_t m = 0; m < draws_; ++m) {
      drawn.items.push_back(alias_.Draw(stream, static_cast<uint64_t>(m)));
    }
    return drawn;
  }
  bool holds_positives() const final { return false; }
  int64_t NumDraws(const Drawn&, const StepPositives&) const final { return draws_; }
  double ExpectedCount(int64_t item, int64_t draws) const final {
    return static_cast<double>(draws) * probability_[static_cast<size_t>(item)];
  }

 private:
  const int64_t draws_;
  const double alpha_;
  const uint64_t seed_;
  const std::vector<double> probability_;  // [C]
  const AliasTable alias_;
};

}  // namespace

std::unique_ptr<Source> MakePopularitySource(const SamplerConfig& config,
                                             const SourceContext& context) {
  return std::make_unique<PopularitySource>(config, context);
}

std::unique_ptr<ItemDraw> MakePopularityDraw(const SamplerConfig& config,
                                             const SourceContext& context) {
  return std::make_unique<PopularityDraw>(config, context);
}

}  // namespace torii::sampler
