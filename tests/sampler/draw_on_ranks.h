// One global batch, cut over W ranks, and what each rank's sampler draws for it.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "ATen/ATen.h"
#include "base/partition.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "sampler/negative_sampler.h"
#include "tests/support/run_on_ranks.h"

namespace torii::sampler {

struct GlobalBatch {
  std::vector<int64_t> positives;
  std::vector<float> weights;
  std::vector<std::vector<int32_t>> known;  // of each row; empty: nothing known
};

inline GlobalBatch BatchOf(std::vector<int64_t> positives) {
  GlobalBatch batch;
  batch.weights.assign(positives.size(), 1);
  batch.known.resize(positives.size());
  batch.positives = std::move(positives);
  return batch;
}

// By rank.
inline std::vector<Candidates> DrawOnRanks(int world_size, const SamplerConfig& config,
                                           const std::vector<int64_t>& item_counts,
                                           const GlobalBatch& batch, int64_t step = 0,
                                           const CandidateNeeds& needs = {},
                                           Partition::Kind kind = Partition::Kind::kRowModWorld) {
  std::vector<Candidates> all(static_cast<size_t>(world_size));
  torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto sampler, NegativeSampler::Create(config, item_counts, 5));
    const Partition corpus(kind, std::ssize(item_counts), world_size);
    const Range part =
        SplitEvenly(static_cast<int64_t>(batch.positives.size()), world_size, comm.rank());
    const auto begin = static_cast<size_t>(part.begin), size = static_cast<size_t>(part.size());
    const RowGroups groups = RowGroups::OneEach(part.size());
    const StepRows rows{std::span(batch.positives).subspan(begin, size),
                        std::span(batch.weights).subspan(begin, size), groups, part.begin};
    TORII_ASSIGN_OR_RETURN(
        all[static_cast<size_t>(comm.rank())],
        sampler->Draw(comm, corpus, step, rows, needs, [&](int64_t row) {
          return std::span<const int32_t>(batch.known[begin + static_cast<size_t>(row)]);
        }));
    return absl::OkStatus();
  });
  return all;
}

inline Candidates DrawOnOne(const SamplerConfig& config, const std::vector<int64_t>& item_counts,
                            const GlobalBatch& batch, int64_t step = 0,
                            const CandidateNeeds& needs = {}) {
  return DrawOnRanks(1, config, item_counts, batch, step, needs)[0];
}

// The items of the columns that a rank's rows see.
inline std::vector<int64_t> SeenItems(const Candidates& c) {
  at::Tensor seen = c.seen_columns.defined() ? c.rows.index_select(0, c.seen_columns) : c.rows;
  if (c.past.items.defined()) seen = at::cat({seen, c.past.items});
  return {seen.data_ptr<int64_t>(), seen.data_ptr<int64_t>() + seen.numel()};
}

inline std::vector<double> Values(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace torii::sampler
