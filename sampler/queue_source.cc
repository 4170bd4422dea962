// The positives of earlier steps, first in, first out (cross-batch negative sampling: Wang et al.,
// SIGIR 2021).
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/host_tensors.h"
#include "sampler/source.h"

namespace torii::sampler {
namespace {

class QueueSource final : public Source {
 public:
  QueueSource(const QueueConfig& config, const SourceContext& context)
      : after_steps_(config.after_steps()),
        share_(TrainingShares(context)),
        items_(static_cast<size_t>(config.size()), -1) {}

  std::string_view name() const final { return "queue"; }
  std::string Description() const final {
    return absl::StrCat("a queue of ", num_slots(), " past positives from step ", after_steps_);
  }
  Drawn Draw(int64_t step) const final {
    Drawn drawn{Drawn::From::kPast};
    if (step < after_steps_) return drawn;
    for (int64_t age = 1; age <= std::min(num_kept(), num_slots()); ++age) {
      drawn.slots.push_back((num_kept() - age) % num_slots());
      drawn.items.push_back(items_[static_cast<size_t>(drawn.slots.back())]);
    }
    return drawn;
  }
  bool holds_positives() const final { return false; }
  int64_t NumDraws(const Drawn& drawn, const StepPositives&) const final {
    return std::ssize(drawn.items);
  }
  double ExpectedCount(int64_t item, int64_t draws) const final {
    return static_cast<double>(draws) * share_[static_cast<size_t>(item)];
  }

  std::vector<int64_t> Keep(std::span<const int64_t> positives) final {
    std::vector<int64_t> slots;
    const int64_t left_out = std::max<int64_t>(std::ssize(positives) - num_slots(), 0);
    for (const int64_t item : positives) {
      const bool is_kept = std::ssize(slots) >= left_out;
      slots.push_back(is_kept ? num_kept() % num_slots() : -1);
      if (!is_kept) continue;
      items_[static_cast<size_t>(slots.back())] = item;
      ++num_kept_[0];
    }
    return slots;
  }
  int64_t num_slots() const final { return std::ssize(items_); }
  void RegisterState(StateRegistry& registry) final {
    registry.Add({.name = "sampler.queue.items", .tensor = kernels::ViewOf(items_)});
    registry.Add({.name = "sampler.queue.num_kept", .tensor = kernels::ViewOf(num_kept_)});
  }

 private:
  int64_t num_kept() const { return num_kept_[0]; }

  const int64_t after_steps_;
  const std::vector<double> share_;      // [C] of the training interactions
  std::vector<int64_t> items_;           // [slots] item rows, -1: none yet
  std::vector<int64_t> num_kept_ = {0};  // [1] so far; the next one goes to this slot mod slots
};

}  // namespace

std::unique_ptr<Source> MakeQueueSource(const SamplerConfig& config, const SourceContext& context) {
  return std::make_unique<QueueSource>(config.queue(), context);
}

}  // namespace torii::sampler
