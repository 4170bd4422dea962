#include "sampler/gathered_positives.h"

#include <ATen/ATen.h>

#include "base/int64_tensor.h"
#include "base/status_macros.h"

namespace torii::sampler {
namespace {

// Numbers of a rank, as doubles: counts below 2^53 are exact.
constexpr size_t kNumbers = 3;

}  // namespace

absl::StatusOr<GatheredSums> GatherSums(comm::Communicator& comm, const RowSums& mine) {
  if (comm.world_size() == 1) return GatheredSums{{mine.rows}, 0, mine.weight_sum, mine.stop_asked};
  const auto world_size = static_cast<size_t>(comm.world_size());
  const double numbers[kNumbers] = {static_cast<double>(mine.rows), mine.weight_sum,
                                    mine.stop_asked ? 1.0 : 0.0};
  const at::Tensor sent = TensorOf<double>(numbers, {1, static_cast<int64_t>(kNumbers)});
  const std::vector<int64_t> ones(world_size, 1);
  TORII_ASSIGN_OR_RETURN(const at::Tensor received, comm.AllGatherV(sent, ones));
  const double* of_rank = received.const_data_ptr<double>();
  GatheredSums all;
  for (size_t r = 0; r < world_size; ++r, of_rank += kNumbers) {
    all.rows.push_back(static_cast<int64_t>(of_rank[0]));
    all.weight_sum += of_rank[1];
    all.stop_asked |= of_rank[2] != 0;
    if (static_cast<int>(r) < comm.rank()) all.begin += all.rows.back();
  }
  return all;
}

absl::StatusOr<std::vector<int64_t>> GatherPositives(comm::Communicator& comm,
                                                     std::span<const int64_t> positives,
                                                     const GatheredSums& sums) {
  if (comm.world_size() == 1) return std::vector<int64_t>(positives.begin(), positives.end());
  TORII_ASSIGN_OR_RETURN(const at::Tensor items, comm.AllGatherV(TensorOf(positives), sums.rows));
  return VectorOf(items);
}

}  // namespace torii::sampler
