// What every control plane must do, and how it and duplicates stand beside the communicator that
// they come from; one body that each rank of a group runs.
#pragma once

#include <ATen/ATen.h>

#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "comm/communicator.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"

namespace torii::comm::testing {

// A NaN on one rank reaches all, wherever it stands in rank order.
inline absl::Status CheckNanReachesAll(ControlPlane& control) {
  for (int from = 0; from < control.world_size(); ++from) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax}) {
      const double mine = control.rank() == from ? std::nan("") : 1.0;
      TORII_ASSIGN_OR_RETURN(const double all, AllReduceValue(control, mine, op));
      TORII_EXPECT_OR_RETURN(all != all);
    }
  }
  return absl::OkStatus();
}

inline absl::Status CheckConveniences(ControlPlane& control) {
  const int64_t world = control.world_size();
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> squares,
                         AllGatherValue(control, int64_t{control.rank()} * control.rank()));
  for (int64_t r = 0; r < world; ++r) {
    TORII_EXPECT_OR_RETURN(squares[static_cast<size_t>(r)] == r * r);
  }
  TORII_ASSIGN_OR_RETURN(const int64_t sum,
                         AllReduceValue(control, int64_t{1} << 40, ReduceOp::kSum));
  TORII_EXPECT_OR_RETURN(sum == world << 40);
  TORII_ASSIGN_OR_RETURN(const double least,
                         AllReduceValue(control, -0.5 * control.rank(), ReduceOp::kMin));
  TORII_EXPECT_OR_RETURN(least == -0.5 * static_cast<double>(world - 1));
  for (const std::string& text : {std::string(), std::string("a\0b\n", 4)}) {
    const int root = control.world_size() - 1;
    const std::string mine = control.rank() == root ? text : "ignored";
    TORII_ASSIGN_OR_RETURN(const std::string all, BroadcastText(control, mine, root));
    TORII_EXPECT_OR_RETURN(all == text);
  }
  return Barrier(control);
}

inline absl::Status CheckControlPlane(ControlPlane& control) {
  const int world = control.world_size();
  // Rank r gives r bytes "r": none on rank 0.
  std::vector<int64_t> sizes;
  std::string expected;
  for (int r = 0; r < world; ++r) {
    sizes.push_back(r);
    expected += std::string(static_cast<size_t>(r), static_cast<char>('0' + r));
  }
  const std::string mine(static_cast<size_t>(control.rank()),
                         static_cast<char>('0' + control.rank()));
  std::string all(expected.size(), '\0');
  TORII_RETURN_IF_ERROR(control.AllGatherBytes(std::as_bytes(std::span(mine)), sizes,
                                               std::as_writable_bytes(std::span(all))));
  TORII_EXPECT_OR_RETURN(all == expected);
  for (const size_t each : {0, 1, 3}) {
    std::vector<int64_t> values;
    std::vector<int64_t> received(static_cast<size_t>(world) * each);
    std::vector<int64_t> want;
    for (int peer = 0; peer < world; ++peer) {
      for (size_t i = 0; i < each; ++i) {
        values.push_back(100 * control.rank() + 10 * peer + static_cast<int64_t>(i));
        want.push_back(100 * peer + 10 * control.rank() + static_cast<int64_t>(i));
      }
    }
    TORII_RETURN_IF_ERROR(control.AllToAll(values, received));
    TORII_EXPECT_OR_RETURN(received == want);
  }
  // Longer than a message where those are chunked.
  const std::string long_text(static_cast<size_t>(1000 + control.rank()), 'a');
  TORII_ASSIGN_OR_RETURN(const auto texts, AllGatherTexts(control, long_text));
  for (int r = 0; r < world; ++r) {
    TORII_EXPECT_OR_RETURN(texts[static_cast<size_t>(r)] ==
                           std::string(static_cast<size_t>(1000 + r), 'a'));
  }
  // What does not fit is refused on all ranks alike, and the plane goes on.
  TORII_EXPECT_OR_RETURN(
      !control.AllGatherBytes({}, std::vector<int64_t>(sizes.size() + 1), {}).ok());
  return Barrier(control);
}

// The wish of any rank reaches all with the next call, whichever that is, and stays.
inline absl::Status CheckStopFlag(Communicator& comm) {
  for (int asking = 0; asking < comm.world_size(); ++asking) {
    for (const bool by_gather : {false, true}) {
      TORII_ASSIGN_OR_RETURN(const auto fresh, comm.Duplicate());
      ControlPlane& control = fresh->control();
      const std::vector<int64_t> counts(static_cast<size_t>(comm.world_size()));
      std::atomic<bool> asked = false;
      control.stop_flag().Watch(&asked);
      TORII_RETURN_IF_ERROR(ExchangeCounts(control, counts).status());
      TORII_RETURN_IF_ERROR(Barrier(control));
      TORII_EXPECT_OR_RETURN(!control.stop_flag().agreed());
      asked = comm.rank() == asking;
      TORII_EXPECT_OR_RETURN(!control.stop_flag().agreed());
      TORII_RETURN_IF_ERROR(by_gather ? Barrier(control)
                                      : ExchangeCounts(control, counts).status());
      TORII_EXPECT_OR_RETURN(control.stop_flag().agreed());
      asked = false;
      TORII_RETURN_IF_ERROR(Barrier(control));
      TORII_EXPECT_OR_RETURN(control.stop_flag().agreed());
      TORII_EXPECT_OR_RETURN(!comm.control().stop_flag().agreed());
    }
  }
  return absl::OkStatus();
}

// Duplicates of duplicates, that outlive what they were made of.
inline absl::Status CheckDuplicate(Communicator& comm) {
  TORII_ASSIGN_OR_RETURN(auto first, comm.Duplicate());
  TORII_ASSIGN_OR_RETURN(const auto second, first->Duplicate());
  first.reset();
  TORII_EXPECT_OR_RETURN(second->rank() == comm.rank());
  TORII_EXPECT_OR_RETURN(second->world_size() == comm.world_size());
  at::Tensor in_second = at::full({5}, 2.0f);
  at::Tensor in_comm = at::full({3}, 1.0f);
  TORII_RETURN_IF_ERROR(second->AllReduce(in_second, ReduceOp::kSum));
  TORII_RETURN_IF_ERROR(comm.AllReduce(in_comm, ReduceOp::kSum));
  TORII_EXPECT_OR_RETURN(in_second[4].item<float>() ==
                         2.0f * static_cast<float>(comm.world_size()));
  TORII_EXPECT_OR_RETURN(in_comm[2].item<float>() == static_cast<float>(comm.world_size()));
  return Barrier(second->control());
}

}  // namespace torii::comm::testing
