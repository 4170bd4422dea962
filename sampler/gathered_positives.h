// The positives of a step on all ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace torii::sampler {

struct GatheredPositives {
  std::vector<int64_t> items;  // [G] in rank order
  int64_t begin = 0;           // of this rank's rows in `items`
  double weight_sum = 0;       // of the row weights of all ranks
};

// Collective: a gather of (rows, weight sum) of each rank, then one of the rows; none on a single
// rank.
absl::StatusOr<GatheredPositives> GatherPositives(comm::Communicator& comm,
                                                  std::span<const int64_t> positives,
                                                  std::span<const float> weights);

}  // namespace torii::sampler
