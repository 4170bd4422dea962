// Every item of the corpus once: the full softmax.
#include "sampler/source.h"

namespace torii::sampler {
namespace {

class CorpusSource final : public Source {
 public:
  explicit CorpusSource(int64_t num_items) : num_items_(num_items) {}

  std::string_view name() const final { return "full_corpus"; }
  std::string Description() const final { return "every item of the corpus"; }
  Drawn Draw(int64_t) const final { return {Drawn::From::kCorpus}; }
  bool holds_positives() const final { return true; }
  int64_t NumDraws(const Drawn&, const StepPositives&) const final { return num_items_; }
  double ExpectedCount(int64_t, int64_t) const final { return 1; }

 private:
  const int64_t num_items_;
};

}  // namespace

std::unique_ptr<Source> MakeCorpusSource(const SamplerConfig&, const SourceContext& context) {
  return std::make_unique<CorpusSource>(std::ssize(context.item_counts));
}

}  // namespace torii::sampler
