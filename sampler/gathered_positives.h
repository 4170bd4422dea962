// What ranks tell one another about their rows of a step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace torii::sampler {

// This rank's rows, in numbers.
struct RowSums {
  int64_t rows = 0;
  double weight_sum = 0;
  bool stop_asked = false;
};

// Of all ranks.
struct GatheredSums {
  std::vector<int64_t> rows;  // [W]
  int64_t begin = 0;          // rows of the ranks before this one
  double weight_sum = 0;
  bool stop_asked = false;  // by any rank
};

// Collective; nothing is exchanged on a single rank.
absl::StatusOr<GatheredSums> GatherSums(comm::Communicator& comm, const RowSums& mine);

// The positives of all ranks' rows [G], in rank order. Collective like GatherSums.
absl::StatusOr<std::vector<int64_t>> GatherPositives(comm::Communicator& comm,
                                                     std::span<const int64_t> positives,
                                                     const GatheredSums& sums);

}  // namespace torii::sampler
