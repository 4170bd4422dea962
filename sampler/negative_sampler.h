// Which items the rows of a step are scored against: the sources put together, each distinct item
// one column, with the facts that a loss needs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/config_rules.h"
#include "base/named_state.h"
#include "base/partition.h"
#include "base/row_groups.h"
#include "comm/communicator.h"
#include "sampler/candidates.h"
#include "sampler/sampler.pb.h"
#include "sampler/source.h"
#include "sampler/source_columns.h"

namespace torii::sampler {

// Collects the rules that `config` breaks. `rules` are those of the message itself.
void Validate(const SamplerConfig& config, const ConfigRules& rules);

// This rank's rows of a step.
struct StepRows {
  std::span<const int64_t> positives;  // [B] item rows
  std::span<const float> weights;      // [B]
  const RowGroups& groups;             // B rows over R queries
  int64_t first_position = 0;          // of row 0 in the epoch, counted over all ranks
};

// What the loss needs its rows to be scored against.
struct CandidateNeeds {
  bool all_columns = true;        // the columns of all sources; else the rows' own items alone
  int64_t negatives_per_row = 0;  // n, drawn for each row alone
};

// Training items of the user of query r (any order), for mask_known_positives.
using KnownPositives = std::function<std::span<const int32_t>(int64_t query)>;

class NegativeSampler {
 public:
  // item_counts: training interactions of each item (copied). seed: of the run.
  static absl::StatusOr<std::unique_ptr<NegativeSampler>> Create(
      const SamplerConfig& config, std::span<const int64_t> item_counts, uint64_t seed);

  // B may be 0 and differ over ranks. step: global, from 0: what is drawn is a pure function of
  // (seed, step, position of the row) and of the state. Called once for each step, in their order:
  // sources with a memory take note of the positives. Collective: one exchange of counts, and a gather of the
  // positives if all columns are needed. corpus: which rank owns an item, the same on all ranks.
  absl::StatusOr<Candidates> Draw(comm::Communicator& comm, const Partition& corpus, int64_t step,
                                  const StepRows& rows, const CandidateNeeds& needs,
                                  const KnownPositives& known);
  // How many vectors of past columns are to be remembered; 0: none (see PastColumns).
  int64_t num_slots() const { return memory_ == nullptr ? 0 : memory_->num_slots(); }
  // What the sources remember but for the vectors.
  void RegisterState(StateRegistry& registry);
  // One line for the log: "in batch (all ranks) + 1024 uniform, known positives masked".
  std::string Description() const;

 private:
  NegativeSampler(const SamplerConfig& config, std::span<const int64_t> item_counts, uint64_t seed);
  void CheckRows(const StepRows& rows) const;
  // The columns of all sources.
  void DrawColumns(const Partition& corpus, int64_t step, const StepRows& rows,
                   const StepPositives& positives, const KnownPositives& known,
                   Candidates* candidates);
  // The past columns of a step, and what is kept of its positives.
  PastColumns Remember(std::span<const int64_t> positives, const SourceColumns& columns);
  // The positives and negatives of this rank's own rows.
  void DrawOwn(const Partition& corpus, int64_t step, const StepRows& rows,
               const CandidateNeeds& needs, const KnownPositives& known,
               Candidates* candidates) const;

  const SamplerConfig config_;
  const int64_t num_items_;
  const uint64_t seed_;
  std::vector<std::unique_ptr<Source>> sources_;
  Source* memory_ = nullptr;  // the one of them that draws from the past
  std::unique_ptr<ItemDraw> row_draw_;
};

}  // namespace torii::sampler
