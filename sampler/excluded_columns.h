// The columns that rows do not see because their user knows the items.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampler/negative_sampler.h"

namespace torii::sampler {

// Fills excluded_begin and excluded: for each query the columns of its user's training items,
// ascending; without the positive where each row is a query of its own. items: of the columns that
// the rows see; positive: [B] columns.
void FillExcluded(std::span<const int64_t> items, std::span<const int64_t> positive,
                  const StepRows& rows, const KnownPositives& known, Candidates* candidates);

}  // namespace torii::sampler
