// Items drawn uniformly from the corpus.
#include "absl/strings/str_cat.h"
#include "sampler/source.h"

namespace torii::sampler {
namespace {

class UniformDraw final : public ItemDraw {
 public:
  explicit UniformDraw(int64_t num_items) : num_items_(num_items) {}
  int64_t Draw(const RandomStream& stream, uint64_t index) const final {
    return stream.Below(index, num_items_);
  }

 private:
  const int64_t num_items_;
};

class UniformSource final : public Source {
 public:
  UniformSource(const SamplerConfig& config, const SourceContext& context)
      : draws_(config.uniform()),
        num_items_(std::ssize(context.item_counts)),
        seed_(context.seed) {}

  std::string_view name() const final { return "uniform"; }
  std::string Description() const final { return absl::StrCat(draws_, " uniform"); }
  Drawn Draw(int64_t step) const final {
    Drawn drawn;
    drawn.items.reserve(static_cast<size_t>(draws_));
    const RandomStream stream(seed_, "negatives:uniform", static_cast<uint64_t>(step));
    for (int64_t m = 0; m < draws_; ++m) {
      drawn.items.push_back(stream.Below(static_cast<uint64_t>(m), num_items_));
    }
    return drawn;
  }
  bool holds_positives() const final { return false; }
  int64_t NumDraws(const Drawn&, const StepPositives&) const final { return draws_; }
  double ExpectedCount(int64_t, int64_t draws) const final {
    return static_cast<double>(draws) * (1 / static_cast<double>(num_items_));
  }

 private:
  const int64_t draws_, num_items_;
  const uint64_t seed_;
};

}  // namespace

std::unique_ptr<Source> MakeUniformSource(const SamplerConfig& config,
                                          const SourceContext& context) {
  return std::make_unique<UniformSource>(config, context);
}

std::unique_ptr<ItemDraw> MakeUniformDraw(const SourceContext& context) {
  return std::make_unique<UniformDraw>(std::ssize(context.item_counts));
}

}  // namespace torii::sampler
