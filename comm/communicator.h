// Ranks exchange tensors. A Communicator is a fixed group of W ranks, the world. Back ends:
// in_process (ranks are threads; defines the semantics), mpi, and nccl (tensors on GPUs; beside one of
// the others, which carries the rest).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/control_plane.h"

namespace torii::comm {

// **Ranks.** Every rank has its own Communicator object, with a rank in [0, W). A call is
// collective: all ranks make the same calls in the same order, those of control() included. The
// order is per Communicator; a duplicate has an order of its own. One thread at a time uses a
// Communicator and its control plane; Abort may come from any thread.
//
// **Tensors** are contiguous, of dtype float32, float64, int64, int32, uint8 or bfloat16 (bfloat16:
// no reductions), on the device that the back end serves. "Rows" are slices of the first dimension;
// all ranks agree on dtype and on the other dimensions. Any count may be 0, on some ranks or on
// all. Sizes are 64-bit.
//
// **What a call promises when it returns OK.** The result is right for all work that the caller
// puts on its current stream from then on (on the CPU: the numbers are there), and such work may
// write to the inputs or free them. The call itself starts after the work that the caller's current
// stream already has. A result is new memory, for every W: it never shares memory with an input.
// It does not promise that the other ranks have returned, or will return OK.
// Sums are taken in rank order (in_process, mpi, nccl if asked for) or in an order that is fixed for
// W and the way the ranks are connected: repeated runs give the same bits. A NaN of any rank makes
// a sum, a minimum or a maximum NaN.
//
// **What an error means.** Every wait ends: with the result, with kPeerLost after the deadline
// given at creation, or with the reason of an Abort anywhere in the world. An argument that this
// rank alone can see to be wrong (dtype, counts that do not fit) is refused with kInternal before
// anything is sent: its peers, whose arguments were good, then wait for it. Every other error ends
// the world for good: later calls, on any communicator of it, return the same reason. After an
// error tensors that would have been written hold anything, and the rank has one thing left to do:
// Abort() with its reason, so that nobody waits, and leave. A new world may be made afterwards in
// the same process (in_process).
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  // Numbers, texts and errors between the same ranks.
  virtual ControlPlane& control() = 0;

  // In place, any shape, the same on all ranks.
  virtual absl::Status AllReduce(at::Tensor& tensor, ReduceOp op) = 0;
  // [rows[rank], ...] on each rank -> [sum rows, ...] on all, in rank order. `rows` [W] (the same
  // on all ranks) says what each contributes.
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

  // Another communicator over the same ranks, with the same limits and a sequence of calls of its
  // own, control plane included: what it does never meets the calls of this one. Collective. It may
  // outlive this one; an error or an Abort ends both.
  virtual absl::StatusOr<std::unique_ptr<Communicator>> Duplicate() = 0;
  // Ends the world with `reason`: calls in progress and later calls on any rank of it return an
  // error (in_process), or every process ends with the exit code of `reason` (mpi).
  virtual void Abort(const absl::Status& reason) = 0;
};

// AllGatherV where the ranks do not know each other's counts; they tell them first.
absl::StatusOr<at::Tensor> AllGatherRows(Communicator& comm, const at::Tensor& in);

// The same for callers that write neither to the result nor to `in` while both are in use: with
// W = 1 the result is `in` itself and nothing is copied.
absl::StatusOr<at::Tensor> AllGatherForReading(Communicator& comm, const at::Tensor& in,
                                               std::span<const int64_t> rows);
absl::StatusOr<at::Tensor> ReduceScatterForReading(Communicator& comm, const at::Tensor& in,
                                                   std::span<const int64_t> rows);
absl::StatusOr<at::Tensor> AllToAllForReading(Communicator& comm, const at::Tensor& in,
                                              std::span<const int64_t> send_rows,
                                              std::span<const int64_t> recv_rows);

}  // namespace torii::comm
