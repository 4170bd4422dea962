// The other rows' positives as negatives: items come with their share of the training interactions.
#include <algorithm>

#include "sampler/source.h"

namespace torii::sampler {
namespace {

class InBatchSource final : public Source {
 public:
  InBatchSource(const SamplerConfig& config, const SourceContext& context)
      : own_rank_(config.in_batch() == SamplerConfig::LOCAL), share_(TrainingShares(context)) {}

  std::string_view name() const final { return "in_batch"; }
  std::string Description() const final {
    return own_rank_ ? "in batch (own rank: the model depends on the ranks)"
                     : "in batch (all ranks)";
  }
  Drawn Draw(int64_t) const final {
    return {own_rank_ ? Drawn::From::kOwnPositives : Drawn::From::kPositives};
  }
  bool holds_positives() const final { return true; }
  int64_t NumDraws(const Drawn&, const StepPositives& positives) const final {
    const int64_t rows = own_rank_ ? positives.own.size() : std::ssize(positives.items);
    return std::max<int64_t>(rows - 1, 0);
  }
  double ExpectedCount(int64_t item, int64_t draws) const final {
    return static_cast<double>(draws) * share_[static_cast<size_t>(item)];
  }

 private:
  const bool own_rank_;
  const std::vector<double> share_;  // [C] of the training interactions
};

}  // namespace

std::unique_ptr<Source> MakeInBatchSource(const SamplerConfig& config,
                                          const SourceContext& context) {
  return std::make_unique<InBatchSource>(config, context);
}

}  // namespace torii::sampler
