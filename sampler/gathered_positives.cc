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

  // Counts below 2^53 are exact in double.
  const auto world_size = static_cast<size_t>(comm.world_size());
  const at::Tensor mine = at::empty({1, 2}, at::kDouble);
  mine.data_ptr<double>()[0] = static_cast<double>(positives.size());
  mine.data_ptr<double>()[1] = weight_sum;
  const std::vector<int64_t> ones(world_size, 1);
  TORII_ASSIGN_OR_RETURN(const at::Tensor sums, comm.AllGatherV(mine, ones));
  std::vector<int64_t> rows(world_size);
  for (size_t r = 0; r < world_size; ++r) {
    rows[r] = static_cast<int64_t>(sums.data_ptr<double>()[2 * r]);
    all.weight_sum += sums.data_ptr<double>()[2 * r + 1];
    if (static_cast<int>(r) < comm.rank()) all.begin += rows[r];
  }

  TORII_ASSIGN_OR_RETURN(const at::Tensor items, comm.AllGatherV(TensorOf(positives), rows));
  all.items = VectorOf(items);
  return all;
}

}  // namespace torii::sampler
