#include "sampler/gathered_positives.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/int64_tensor.h"
#include "base/status_macros.h"

namespace torii::sampler {

absl::StatusOr<GatheredPositives> GatherPositives(comm::Communicator& comm,
                                                  std::span<const int64_t> positives,
                                                  std::span<const float> weights) {
  GatheredPositives all;
  double weight_sum = 0;
  for (const float weight : weights) weight_sum += static_cast<double>(weight);
  if (comm.world_size() == 1) {
    all.items.assign(positives.begin(), positives.end());
    all.weight_sum = weight_sum;
    return all;
  }

  struct Share {
    int64_t rows;
    double weight_sum;
  };
  const Share mine{std::ssize(positives), weight_sum};
  TORII_ASSIGN_OR_RETURN(const std::vector<Share> shares,
                         comm::AllGatherValue(comm.control(), mine));
  std::vector<int64_t> rows;
  for (size_t r = 0; r < shares.size(); ++r) {
    if (static_cast<int>(r) < comm.rank()) all.begin += shares[r].rows;
    rows.push_back(shares[r].rows);
    all.weight_sum += shares[r].weight_sum;
  }

  TORII_ASSIGN_OR_RETURN(const at::Tensor items, comm.AllGatherV(TensorOf(positives), rows));
  all.items = VectorOf(items);
  return all;
}

}  // namespace torii::sampler
