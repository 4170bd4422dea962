// What one rank is about to do: the description of a collective call by which ranks compare notes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "comm/communicator.h"

namespace torii::comm {

enum class Op {
  kAllReduce,
  kAllGatherV,
  kReduceScatterV,
  kBroadcast,
  kAllToAllV,
  kAllGatherBytes,  // this one and the next: of the control plane
  kAllToAll,
};
const char* OpName(Op op);

// Refers to the caller's memory, so it lives no longer than the call that it describes.
struct Call {
  Op op = Op::kAllReduce;
  int64_t sequence = 0;  // how many calls this rank made before
  int64_t variant = 0;   // the ReduceOp of AllReduce, the root of Broadcast
  at::ScalarType dtype = at::ScalarType::Byte;
  std::span<const int64_t> shape = {};      // of the input
  std::span<const int64_t> rows = {};       // [W] the row counts given (AllToAllV: those to send)
  std::span<const int64_t> recv_rows = {};  // [W] AllToAllV only
};

// The call with its tensor's dtype and shape; `tensor` may be undefined (CheckTensor tells).
Call DescribeCall(Op op, int64_t sequence, const at::Tensor& tensor,
                  std::span<const int64_t> rows = {}, std::span<const int64_t> recv_rows = {});
// Calls of the control plane. `numbers` [1]: how many int64 values this rank sends.
Call DescribeAllGatherBytes(int64_t sequence, std::span<const int64_t> sizes);
Call DescribeAllToAll(int64_t sequence, std::span<const int64_t> numbers);

// "AllGatherV of Float [3, 4], rows {3, 0} (call 7)".
std::string ToText(const Call& call);

// What this rank can see alone: a tensor that can travel between CPUs (`back_end` is named
// otherwise), counts that fit it, a root that exists.
absl::Status CheckTensor(Op op, const at::Tensor& tensor, const char* back_end);
absl::Status CheckCall(const Call& call, int rank, int world_size);
// The same for the memory that belongs to a call of the control plane: elements given by this rank
// and room for those of all.
absl::Status CheckRoom(const Call& call, int rank, int world_size, size_t given, size_t room);

// What only all ranks together can see; calls[r] is what rank r is about to do. The error names
// both sides. Every rank finds the same error.
absl::Status CheckSameCall(std::span<const Call* const> calls);

int64_t SumOfRows(std::span<const int64_t> rows);
// Elements of one row: the product of all dimensions but the first.
int64_t RowElements(const at::Tensor& tensor);
// An uninitialised tensor like `in` with `rows` rows.
at::Tensor EmptyRows(const at::Tensor& in, int64_t rows);

}  // namespace torii::comm
