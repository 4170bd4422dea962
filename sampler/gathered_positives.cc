#include "sampler/gathered_positives.h"

#include "base/status_macros.h"
#include "comm/control_plane.h"
#include "kernels/host_tensors.h"

namespace torii::sampler {

absl::StatusOr<GatheredSums> GatherSums(comm::Communicator& comm, std::span<const float> weights) {
  struct Share {
    int64_t rows;
    double weight_sum;
  };
  Share mine{std::ssize(weights), 0};
  for (const float weight : weights) mine.weight_sum += static_cast<double>(weight);
  TORII_ASSIGN_OR_RETURN(const std::vector<Share> shares,
                         comm::AllGatherValue(comm.control(), mine));
  GatheredSums all;
  for (size_t r = 0; r < shares.size(); ++r) {
    if (static_cast<int>(r) < comm.rank()) all.begin += shares[r].rows;
    all.rows.push_back(shares[r].rows);
    all.weight_sum += shares[r].weight_sum;
  }
  return all;
}

absl::StatusOr<std::vector<int64_t>> GatherPositives(comm::Communicator& comm,
                                                     std::span<const int64_t> positives,
                                                     const GatheredSums& sums) {
  if (comm.world_size() == 1) return std::vector<int64_t>(positives.begin(), positives.end());
  TORII_ASSIGN_OR_RETURN(const at::Tensor items,
                         comm.AllGatherV(kernels::TensorOf(positives), sums.rows));
  return kernels::ListOf<int64_t>(items);
}

}  // namespace torii::sampler
