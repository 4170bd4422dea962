// Calls that differ between rank 0 and the last rank, and what the checking decorator must say
// about them.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace torii::comm::testing {

struct Mismatch {
  std::function<absl::Status(Communicator& comm, bool is_last)> call;
  // Both must be in the message of every rank.
  std::string first;
  std::string last;
};

// For worlds of two ranks or more.
inline std::vector<Mismatch> Mismatches() {
  const auto all_reduce = [](at::Tensor tensor, ReduceOp op, Communicator& comm) {
    return comm.AllReduce(tensor, op);
  };
  const auto rows_of = [](Communicator& comm, int64_t n) {
    return std::vector<int64_t>(static_cast<size_t>(comm.world_size()), n);
  };
  return {
      {[=](Communicator& comm, bool is_last) {
         return is_last ? Barrier(comm.control())
                        : all_reduce(at::zeros({2}), ReduceOp::kSum, comm);
       },
       "AllReduce of Float [2]", "AllGatherBytes"},
      {[=](Communicator& comm, bool is_last) {
         return all_reduce(at::zeros({2, is_last ? 3 : 4}), ReduceOp::kSum, comm);
       },
       "[2, 4]", "[2, 3]"},
      {[=](Communicator& comm, bool is_last) {
         return all_reduce(at::zeros({2}, is_last ? at::kLong : at::kFloat), ReduceOp::kSum, comm);
       },
       "of Float", "of Long"},
      {[=](Communicator& comm, bool is_last) {
         return all_reduce(at::zeros({2}), is_last ? ReduceOp::kMin : ReduceOp::kMax, comm);
       },
       "max", "min"},
      {[=](Communicator& comm, bool is_last) {
         at::Tensor tensor = at::zeros({2});
         return comm.Broadcast(tensor, is_last ? 1 : 0);
       },
       "from rank 0", "from rank 1"},
      {[=](Communicator& comm, bool is_last) {
         return comm.AllGatherV(at::zeros({is_last ? 2 : 3}), rows_of(comm, is_last ? 2 : 3))
             .status();
       },
       "rows {3", "rows {2"},
      {[=](Communicator& comm, bool is_last) {
         return comm.AllGatherV(at::zeros({2, is_last ? 5 : 6}), rows_of(comm, 2)).status();
       },
       "[2, 6]", "[2, 5]"},
      {[=](Communicator& comm, bool is_last) {
         std::vector<int64_t> send = rows_of(comm, 1);
         std::vector<int64_t> receive = rows_of(comm, 1);
         receive[0] += is_last ? 1 : 0;
         return comm.AllToAllV(at::zeros({comm.world_size()}), send, receive).status();
       },
       "sends 1 rows", "expects 2"},
  };
}

}  // namespace torii::comm::testing
