// What the log Q correction adds to the scores of the candidate columns, in the two consistent
// pairings.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampler/negative_sampler.h"
#include "sampler/proposals.h"

namespace torii::sampler {

// The columns that a rank's rows see.
struct SeenColumns {
  std::vector<int64_t> items;  // [S] distinct
  std::vector<int64_t>
      multiplicity;               // [S] copies of each; 0: only rows whose positive it is see it
  std::vector<int64_t> positive;  // [B] column of each row's own positive
  bool positives_are_columns = true;  // each row's positive is one of the copies
};

// Fills positive, column_offset, positive_offset and target_offset. in_batch: columns of a row that
// are other rows' positives.
//   A: column log m - log E, the row's own positive 0.
//   B: column and positive log m - log(E / columns), target -log(E / columns).
// Where nothing is expected (E = 0: an item without training data, or a batch of one row) log E
// counts as 0.
void FillOffsets(const SamplerConfig& config, const Proposals& proposals, int64_t in_batch,
                 const SeenColumns& seen, Candidates* candidates);

// Fills excluded_begin and excluded: for each query the columns of its user's training items,
// ascending; without the positive where each row is a query of its own.
void FillExcluded(const SeenColumns& seen, const StepRows& rows, const KnownPositives& known,
                  Candidates* candidates);

}  // namespace torii::sampler
