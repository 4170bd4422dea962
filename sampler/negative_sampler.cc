#include "sampler/negative_sampler.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "kernels/host_tensors.h"
#include "sampler/distinct_columns.h"
#include "sampler/excluded_columns.h"
#include "sampler/gathered_positives.h"
#include "sampler/row_lists.h"
#include "sampler/source_columns.h"

namespace torii::sampler {
NegativeSampler::NegativeSampler(const SamplerConfig& config, std::span<const int64_t> item_counts,
                                 uint64_t seed)
    : config_(config), num_items_(std::ssize(item_counts)), seed_(seed) {
  const SourceContext context{item_counts, seed};
  sources_ = MakeSources(config, context);
  for (const auto& source : sources_) {
    if (source->num_slots() == 0) continue;
    TORII_CHECK(memory_ == nullptr, "two sources with a memory");
    memory_ = source.get();
  }
  row_draw_ = config.row_negatives() == SamplerConfig::POPULAR ? MakePopularityDraw(config, context)
                                                               : MakeUniformDraw(context);
}

absl::StatusOr<Candidates> NegativeSampler::Draw(comm::Communicator& comm, const Partition& corpus,
                                                 int64_t step, const StepRows& rows,
                                                 const CandidateNeeds& needs,
                                                 const KnownPositives& known) {
  CheckRows(rows);
  TORII_CHECK(corpus.rows() == num_items_ && !corpus.is_replicated(), "a corpus of ", corpus.rows(),
              " items (", std::string(NameOf(corpus.kind())), "), counts of ", num_items_);
  TORII_ASSIGN_OR_RETURN(const GatheredSums sums, GatherSums(comm, rows.weights));
  Candidates candidates;
  if (needs.all_columns) {
    TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> positives,
                           GatherPositives(comm, rows.positives, sums));
    const Range own{sums.begin, sums.begin + std::ssize(rows.positives)};
    DrawColumns(corpus, step, rows, {positives, own}, known, &candidates);
  } else {
    DrawOwn(corpus, step, rows, needs, known, &candidates);
  }
  candidates.weight_sum = sums.weight_sum;
  return candidates;
}

void NegativeSampler::DrawColumns(const Partition& corpus, int64_t step, const StepRows& rows,
                                  const StepPositives& positives, const KnownPositives& known,
                                  Candidates* candidates) {
  SourceColumns columns = ColumnsOf(sources_, positives, step, corpus);
  candidates->facts = FactsOf(sources_, columns, num_items_);
  candidates->positive = kernels::TensorOf(columns.positive);
  if (config_.mask_known_positives()) {
    FillExcluded(columns.seen_items, columns.positive, rows, known, candidates);
  }
  if (memory_ != nullptr) candidates->past = Remember(positives.items, columns);
  if (!columns.sees_all) candidates->seen_columns = kernels::TensorOf(columns.seen);
  candidates->rows = kernels::TensorOf(columns.items);
  candidates->owner_columns = std::move(columns.owner_columns);
}

PastColumns NegativeSampler::Remember(std::span<const int64_t> positives,
                                      const SourceColumns& columns) {
  std::vector<int64_t> kept_columns, kept_slots;
  const std::vector<int64_t> slots = memory_->Keep(positives);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] < 0) continue;
    kept_columns.push_back(columns.of_positive[i]);
    kept_slots.push_back(slots[i]);
  }
  return {kernels::TensorOf(columns.past_items), kernels::TensorOf(columns.past_slots),
          kernels::TensorOf(kept_columns), kernels::TensorOf(kept_slots)};
}

void NegativeSampler::DrawOwn(const Partition& corpus, int64_t step, const StepRows& rows,
                              const CandidateNeeds& needs, const KnownPositives& known,
                              Candidates* candidates) const {
  const RandomStream stream(seed_, "negatives:rows", static_cast<uint64_t>(step));
  std::vector<int64_t> lists;  // [B, n] item rows, -1: none
  for (int64_t query = 0; query < rows.groups.queries(); ++query) {
    const auto of_user = config_.mask_known_positives() ? known(query) : std::span<const int32_t>();
    for (int64_t row = rows.groups.begin(query); row < rows.groups.begin(query + 1); ++row) {
      AppendRowList(*row_draw_, stream,
                    {rows.positives[static_cast<size_t>(row)], of_user, rows.first_position + row},
                    needs.negatives_per_row, &lists);
    }
  }
  std::vector<int64_t> drawn;
  for (const int64_t item : lists) {
    if (item >= 0) drawn.push_back(item);
  }
  Columns columns = FindColumns(rows.positives, drawn, corpus);
  size_t next = 0;
  for (int64_t& item : lists) {
    if (item >= 0) item = columns.of_extra[next++];
  }
  candidates->same_on_all_ranks = false;
  candidates->rows = kernels::TensorOf(columns.items);
  candidates->owner_columns = std::move(columns.owner_counts);
  candidates->positive = kernels::TensorOf(columns.of_positive);
  candidates->negatives =
      kernels::TensorOf<int64_t>(lists, {std::ssize(rows.positives), needs.negatives_per_row});
}

void NegativeSampler::CheckRows(const StepRows& rows) const {
  const auto n = std::ssize(rows.positives);
  TORII_CHECK(n == std::ssize(rows.weights), n, " positives and ", rows.weights.size(), " weights");
  TORII_CHECK(rows.groups.rows() == n, "groups of ", rows.groups.rows(), " rows for ", n);
  for (const int64_t item : rows.positives) {
    TORII_CHECK(item >= 0 && item < num_items_, "positive ", item, " of a corpus of ", num_items_,
                " items");
  }
}

void NegativeSampler::RegisterState(StateRegistry& registry) {
  for (const auto& source : sources_) source->RegisterState(registry);
}

std::string NegativeSampler::Description() const {
  std::vector<std::string> sources;
  for (const auto& source : sources_) sources.push_back(source->Description());
  std::string text = absl::StrJoin(sources, " + ");
  if (config_.mask_known_positives()) absl::StrAppend(&text, ", known positives masked");
  return text;
}

absl::StatusOr<std::unique_ptr<NegativeSampler>> NegativeSampler::Create(
    const SamplerConfig& config, std::span<const int64_t> item_counts, uint64_t seed) {
  const ConfigRules rules("sampler");
  Validate(config, rules);
  TORII_RETURN_IF_ERROR(rules.status());
  int64_t total = 0;
  for (size_t i = 0; i < item_counts.size(); ++i) {
    if (item_counts[i] < 0) {
      return DataError(absl::StrCat("item ", i, " has ", item_counts[i],
                                    " training interactions: prepare the data again"));
    }
    total += item_counts[i];
  }
  if (total == 0) {
    return DataError(absl::StrCat("none of the ", item_counts.size(),
                                  " items has a training interaction: check the training files"));
  }
  return std::unique_ptr<NegativeSampler>(new NegativeSampler(config, item_counts, seed));
}

}  // namespace torii::sampler
