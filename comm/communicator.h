// Ranks exchange tensors. A Communicator is a fixed group of W ranks; every rank must make the same
// calls in the same order (collectives). Back ends: in_process (ranks = threads; defines the
// semantics) and mpi.
#pragma once

#include <cstdint>
#include <span>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/control_plane.h"

namespace torii::comm {

// Tensors are contiguous, of dtype float32, float64, int64, int32, uint8 or bfloat16 (bfloat16: no
// reductions), on the device that the back end serves. "Rows" are slices of the first dimension;
// all ranks agree on dtype and on the other dimensions. Any count may be 0, on some ranks or on
// all. Sizes are 64-bit. Sums are taken in rank order (in_process) or in a fixed order for a fixed
// W (mpi): repeated runs at the same W give the same bits. A single rank gets `in` itself back, not
// a copy.
//
// Not thread-safe. A call returns when its result is ready. Every wait ends: with the result, with
// kPeerLost after the deadline given at creation, or with the reason of an Abort anywhere in the
// group. After an error the group is unusable: Abort() and leave.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  // Numbers, texts and errors between the same ranks.
  virtual ControlPlane& control() = 0;

  // In place, any shape, the same on all ranks.
  virtual absl::Status AllReduce(at::Tensor& tensor, ReduceOp op) = 0;
  // [rows[rank], ...] on each rank -> [sum rows, ...] on all, in rank order. `rows` (size W, the
  // same on all ranks) says what each contributes.
  virtual absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                                std::span<const int64_t> rows) = 0;
  // [sum rows, ...] on each rank -> rank r gets the sum over ranks of its slice [rows[r], ...].
  virtual absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                                    std::span<const int64_t> rows) = 0;
  // In place, the same shape everywhere; root's content goes to all.
  virtual absl::Status Broadcast(at::Tensor& tensor, int root) = 0;
  // Rank r sends send_rows[q] rows to rank q, laid out in rank order in `in`, and gets recv_rows[q]
  // rows from rank q, laid out in rank order in the result. send_rows[q] here = recv_rows[r] at
  // rank q.
  virtual absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in,
                                               std::span<const int64_t> send_rows,
                                               std::span<const int64_t> recv_rows) = 0;
  // Ends the group with `reason`: calls in progress and later calls on any rank of it return an
  // error (in_process), or every process ends with the exit code of `reason` (mpi). Any thread may
  // call it.
  virtual void Abort(const absl::Status& reason) = 0;
};

// AllGatherV where the ranks do not know each other's counts; they tell them first.
absl::StatusOr<at::Tensor> AllGatherRows(Communicator& comm, const at::Tensor& in);

}  // namespace torii::comm
