// Moves item vectors from the ranks that compute them to the ranks that score them, and their
// gradients back.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "kernels/device.h"
#include "sampler/candidates.h"

namespace torii::trainer {

// Made from ids alone.
struct ColumnRoute {
  std::vector<int64_t> owned;          // [U_r] distinct item rows whose vectors this rank computes
  std::vector<int64_t> owner_columns;  // [W] columns that this rank scores, by their owner
  // true: every rank scores the same columns, those owned by rank 0, then by rank 1, and so on. The
  // two fields below are empty then.
  bool same_on_all_ranks = true;
  std::vector<int64_t> served_columns;  // [W] columns that each rank asks of this one
  at::Tensor served;                    // int64 into `owned`: the asked columns, in rank order;
                                        //   on the device
};

// device: where the vectors will be. Collective if the columns are not the same on all ranks: an
// all-to-all of counts, one of ids.
absl::StatusOr<ColumnRoute> PlanColumns(comm::Communicator& comm,
                                        const sampler::Candidates& candidates,
                                        const kernels::Device& device);

struct SentColumns {
  at::Tensor sent;  // what this rank sent, with the graph of the owned vectors
  at::Tensor v;     // [U, D] the columns that this rank scores, no graph
};

// owned: [U_r, D]. Collective: an all-gather, or an all-to-all of the asked columns.
absl::StatusOr<SentColumns> SendColumns(comm::Communicator& comm, const ColumnRoute& route,
                                        const at::Tensor& owned, const kernels::Device& device);
// v_grad: [U, D], this rank's part of the gradient of `v` -> the gradient of `sent`. Collective: a
// reduce-scatter, or an all-to-all.
absl::StatusOr<at::Tensor> ReturnGradients(comm::Communicator& comm, const ColumnRoute& route,
                                           const at::Tensor& v_grad);

}  // namespace torii::trainer
