// Which items every row of a step is scored against, each distinct item once, with its multiplicity
// and the log Q correction (two consistent pairings; Yi et al. RecSys 2019, mixed sources: Yang et
// al. WWW 2020).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "sampler/sampler.pb.h"

namespace torii::sampler {

std::vector<std::string> Validate(const SamplerConfig& config);

// This rank's rows of a step.
struct StepRows {
  std::span<const int64_t> positives;  // [B] item rows
  std::span<const float> weights;      // [B]
  // [R + 1] rows [row_begin[r], row_begin[r + 1]) share user vector r; empty: each has its own.
  std::span<const int64_t> row_begin = {};

  int64_t queries() const {
    return row_begin.empty() ? std::ssize(positives) : std::ssize(row_begin) - 1;
  }
};

// The candidate columns of one step. `rows` and `owner_columns` are the same on all ranks.
struct Candidates {
  at::Tensor rows;                     // [U] int64 distinct item rows, ordered by (row mod W, row)
  std::vector<int64_t> owner_columns;  // [W] columns of each owner, contiguous in rank order
  at::Tensor seen_columns;  // int64 into rows: the columns this rank's rows are scored against;
                            //   undefined: all (differs only for LOCAL negatives)
  // Per seen column / per local row; names as in model::SoftmaxProblem.
  at::Tensor column_offset;    // [seen] float32
  at::Tensor positive;         // [B] int64 into the seen columns
  at::Tensor positive_offset;  // [B] float32
  at::Tensor target_offset;    // [B] float32
  at::Tensor excluded_begin;   // [R + 1] int64, undefined without mask_known_positives
  at::Tensor excluded;         // int64 into the seen columns
  double weight_sum = 0;       // sum of the row weights over all ranks
};

// Training items of the user of query r (any order), for mask_known_positives.
using KnownPositives = std::function<std::span<const int32_t>(int64_t query)>;

class NegativeSampler {
 public:
  // item_counts: training interactions of each item (copied). seed: of the run.
  static absl::StatusOr<std::unique_ptr<NegativeSampler>> Create(
      const SamplerConfig& config, std::span<const int64_t> item_counts, uint64_t seed);
  virtual ~NegativeSampler() = default;
  // B may be 0 and differ over ranks. step: global, from 0: the extra negatives are a pure function
  // of (seed, step). Collective: one gather of the positives.
  virtual absl::StatusOr<Candidates> Draw(comm::Communicator& comm, int64_t step,
                                          const StepRows& rows,
                                          const KnownPositives& known) const = 0;
  // One line for the log: "in batch (all ranks) + 1024 uniform, pairing A, corrected".
  virtual std::string Description() const = 0;
};

}  // namespace torii::sampler
