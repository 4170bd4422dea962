#include "trainer/step/column_exchange.h"

#include <numeric>
#include <utility>

#include "base/status_macros.h"
#include "kernels/host_tensors.h"
#include "model/pool_rows.h"
#include "sharding/distinct_rows.h"

namespace torii::trainer {

absl::StatusOr<ColumnRoute> PlanColumns(comm::Communicator& comm,
                                        const sampler::Candidates& candidates,
                                        const kernels::Device& device) {
  ColumnRoute route;
  route.owner_columns = candidates.owner_columns;
  route.same_on_all_ranks = candidates.same_on_all_ranks || comm.world_size() == 1;
  if (route.same_on_all_ranks) {
    const auto before = candidates.owner_columns.begin() + comm.rank();
    const int64_t begin = std::accumulate(candidates.owner_columns.begin(), before, int64_t{0});
    route.owned = kernels::ListOf<int64_t>(candidates.rows.narrow(0, begin, *before));
    return route;
  }
  TORII_ASSIGN_OR_RETURN(route.served_columns,
                         comm::ExchangeCounts(comm.control(), route.owner_columns));
  TORII_ASSIGN_OR_RETURN(
      const at::Tensor asked,
      comm::AllToAllForReading(comm, candidates.rows, route.owner_columns, route.served_columns));
  // An item that several ranks ask for is computed once.
  sharding::DistinctKeys distinct =
      sharding::FindDistinct(kernels::ListOf<int64_t>(asked), /*world_size=*/1);
  route.owned = std::move(distinct.keys);
  route.served = kernels::TensorOf(distinct.index, device);
  return route;
}

absl::StatusOr<SentColumns> SendColumns(comm::Communicator& comm, const ColumnRoute& route,
                                        const at::Tensor& owned, const kernels::Device& device) {
  SentColumns columns;
  if (route.same_on_all_ranks) {
    columns.sent = owned;
    TORII_ASSIGN_OR_RETURN(columns.v, comm::AllGatherForReading(comm, owned.detach().contiguous(),
                                                                route.owner_columns));
    return columns;
  }
  columns.sent = model::PickRows(owned, route.served, device);
  TORII_ASSIGN_OR_RETURN(columns.v,
                         comm::AllToAllForReading(comm, columns.sent.detach().contiguous(),
                                                  route.served_columns, route.owner_columns));
  return columns;
}

absl::StatusOr<at::Tensor> ReturnGradients(comm::Communicator& comm, const ColumnRoute& route,
                                           const at::Tensor& v_grad) {
  if (route.same_on_all_ranks)
    return comm::ReduceScatterForReading(comm, v_grad, route.owner_columns);
  return comm::AllToAllForReading(comm, v_grad.contiguous(), route.owner_columns,
                                  route.served_columns);
}

}  // namespace torii::trainer
