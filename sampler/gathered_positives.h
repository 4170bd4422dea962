// What ranks tell one another about their rows of a step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace torii::sampler {

// How many rows the ranks have in a step, and their weight.
struct GatheredSums {
  std::vector<int64_t> rows;  // [W]
  int64_t begin = 0;          // rows of the ranks before this one
  double weight_sum = 0;      // of the row weights
};

// weights: of this rank's rows. Collective.
absl::StatusOr<GatheredSums> GatherSums(comm::Communicator& comm, std::span<const float> weights);

// The positives of all ranks' rows [G], in rank order. Collective.
absl::StatusOr<std::vector<int64_t>> GatherPositives(comm::Communicator& comm,
                                                     std::span<const int64_t> positives,
                                                     const GatheredSums& sums);

}  // namespace torii::sampler
