#include "sampler/negative_sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/int64_tensor.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "sampler/column_offsets.h"
#include "sampler/distinct_columns.h"
#include "sampler/gathered_positives.h"
#include "sampler/proposals.h"

namespace torii::sampler {
namespace {

// Keeps the columns that this rank's rows see: their own positives and the extras. Returns which
// they are.
std::vector<int64_t> KeepOwn(std::span<const int64_t> of_extra, SeenColumns* seen) {
  std::vector<int64_t> kept, new_column(seen->items.size(), -1);
  for (const int64_t c : seen->positive) new_column[static_cast<size_t>(c)] = 0;
  for (const int64_t c : of_extra) new_column[static_cast<size_t>(c)] = 0;
  SeenColumns own;
  for (size_t c = 0; c < new_column.size(); ++c) {
    if (new_column[c] < 0) continue;
    new_column[c] = static_cast<int64_t>(kept.size());
    kept.push_back(static_cast<int64_t>(c));
    own.items.push_back(seen->items[c]);
    own.multiplicity.push_back(seen->multiplicity[c]);
  }
  for (const int64_t c : seen->positive) own.positive.push_back(new_column[static_cast<size_t>(c)]);
  *seen = std::move(own);
  return kept;
}

class ColumnSampler final : public NegativeSampler {
 public:
  ColumnSampler(const SamplerConfig& config, std::span<const int64_t> item_counts, uint64_t seed)
      : config_(config), proposals_(config, item_counts), seed_(seed) {}

  absl::StatusOr<Candidates> Draw(comm::Communicator& comm, int64_t step, const StepRows& rows,
                                  const KnownPositives& known) const final {
    CheckRows(rows);
    const std::span<const int64_t> positives = rows.positives;
    TORII_ASSIGN_OR_RETURN(const GatheredPositives all,
                           GatherPositives(comm, positives, rows.weights));
    Candidates candidates;
    candidates.weight_sum = all.weight_sum;
    const SeenColumns seen = config_.full_corpus()
                                 ? AllItems(comm, positives, &candidates)
                                 : Sampled(comm, all, positives.size(), step, &candidates);
    if (config_.full_corpus()) {
      candidates.positive = TensorOf(seen.positive);
      candidates.column_offset = at::zeros({proposals_.num_items()}, at::kFloat);
      candidates.positive_offset = at::zeros({candidates.positive.numel()}, at::kFloat);
      candidates.target_offset = at::zeros({candidates.positive.numel()}, at::kFloat);
    } else {
      const bool local = config_.in_batch() == SamplerConfig::LOCAL;
      const size_t in_batch = local ? positives.size() : all.items.size();
      FillOffsets(config_, proposals_, std::max<int64_t>(static_cast<int64_t>(in_batch) - 1, 0),
                  seen, &candidates);
    }
    if (config_.mask_known_positives()) FillExcluded(seen, rows, known, &candidates);
    return candidates;
  }

  std::string Description() const final;

 private:
  void CheckRows(const StepRows& rows) const {
    const auto n = std::ssize(rows.positives);
    TORII_CHECK(n == std::ssize(rows.weights), n, " positives and ", rows.weights.size(),
                " weights");
    TORII_CHECK(
        rows.row_begin.empty() || (rows.row_begin.front() == 0 && rows.row_begin.back() == n),
        "the queries do not have ", n, " rows");
    for (const int64_t item : rows.positives) {
      TORII_CHECK(item >= 0 && item < proposals_.num_items(), "positive ", item, " of a corpus of ",
                  proposals_.num_items(), " items");
    }
  }

  SeenColumns AllItems(const comm::Communicator& comm, std::span<const int64_t> positives,
                       Candidates* candidates) const {
    SeenColumns seen;
    std::vector<int64_t> owner_begin;
    for (int owner = 0; owner < comm.world_size(); ++owner) {
      owner_begin.push_back(static_cast<int64_t>(seen.items.size()));
      for (int64_t item = owner; item < proposals_.num_items(); item += comm.world_size()) {
        seen.items.push_back(item);
      }
      candidates->owner_columns.push_back(
          OwnedRows(proposals_.num_items(), owner, comm.world_size()));
    }
    for (const int64_t item : positives) {
      const int owner = RowOwner(item, comm.world_size());
      seen.positive.push_back(owner_begin[static_cast<size_t>(owner)] +
                              RowSlot(item, comm.world_size()));
    }
    candidates->rows = TensorOf(seen.items);
    return seen;
  }

  SeenColumns Sampled(const comm::Communicator& comm, const GatheredPositives& all, size_t num_rows,
                      int64_t step, Candidates* candidates) const {
    Columns columns = FindColumns(all.items, proposals_.DrawExtras(seed_, step),
                                  proposals_.num_items(), comm.world_size());
    candidates->rows = TensorOf(columns.items);
    candidates->owner_columns = std::move(columns.owner_counts);

    const auto own_begin = columns.of_positive.begin() + all.begin;
    SeenColumns seen;
    seen.positive.assign(own_begin, own_begin + static_cast<ptrdiff_t>(num_rows));
    seen.multiplicity.assign(columns.items.size(), 0);
    seen.items = std::move(columns.items);
    for (const int64_t c : columns.of_extra) ++seen.multiplicity[static_cast<size_t>(c)];
    if (config_.in_batch() == SamplerConfig::WORLD) {
      for (const int64_t c : columns.of_positive) ++seen.multiplicity[static_cast<size_t>(c)];
    } else if (config_.in_batch() == SamplerConfig::LOCAL) {
      for (const int64_t c : seen.positive) ++seen.multiplicity[static_cast<size_t>(c)];
      if (comm.world_size() > 1) {
        candidates->seen_columns = TensorOf(KeepOwn(columns.of_extra, &seen));
      }
    } else {
      seen.positives_are_columns = false;
    }
    return seen;
  }

  const SamplerConfig config_;
  const Proposals proposals_;
  const uint64_t seed_;
};

std::string ColumnSampler::Description() const {
  if (config_.full_corpus()) return "every item of the corpus";
  std::vector<std::string> sources, uncorrected;
  const auto add = [&](std::string source, const char* name, bool corrected) {
    sources.push_back(std::move(source));
    if (!corrected) uncorrected.emplace_back(name);
  };
  if (config_.in_batch() != SamplerConfig::NONE) {
    const bool world = config_.in_batch() == SamplerConfig::WORLD;
    add(world ? "in batch (all ranks)" : "in batch (own rank: the model depends on the ranks)",
        "in batch", config_.correct_in_batch());
  }
  if (config_.uniform() > 0) {
    add(absl::StrCat(config_.uniform(), " uniform"), "uniform", config_.correct_uniform());
  }
  if (config_.popularity() > 0) {
    add(absl::StrCat(config_.popularity(), " by popularity^", config_.popularity_alpha()),
        "popularity", config_.correct_popularity());
  }
  std::string text = absl::StrCat(absl::StrJoin(sources, " + "), ", pairing ",
                                  SamplerConfig::Pairing_Name(config_.pairing()));
  if (!proposals_.corrected()) {
    absl::StrAppend(&text, ", not corrected");
  } else {
    absl::StrAppend(&text, ", corrected");
    if (!uncorrected.empty()) {
      absl::StrAppend(&text, " except ", absl::StrJoin(uncorrected, " and "));
    }
  }
  if (config_.mask_known_positives()) absl::StrAppend(&text, ", known positives masked");
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NegativeSampler>> NegativeSampler::Create(
    const SamplerConfig& config, std::span<const int64_t> item_counts, uint64_t seed) {
  if (const std::vector<std::string> errors = Validate(config); !errors.empty()) {
    return ConfigError(absl::StrCat("sampler: ", absl::StrJoin(errors, "; ")));
  }
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
  return std::make_unique<ColumnSampler>(config, item_counts, seed);
}

}  // namespace torii::sampler
