// How the cores of a node are shared by the ranks on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/control_plane.h"

namespace torii::launch {

// The processors on which this process may run, ascending.
std::vector<int> AllowedCores();

// The fair number of threads for a rank, at least 1: each core counts 1 / (number of ranks that may
// use it). masks[r]: the cores that rank r of the node may use. Pure.
int FairThreads(const std::vector<std::vector<int>>& masks, size_t rank);

// A warning if `ranks` ranks of `threads` threads each need more than `cores` cores, else "". Pure.
std::string OversubscriptionWarning(int64_t ranks, int64_t threads, int64_t cores);

// Sets the intra-op threads of LibTorch for this thread and those it starts.
void SetIntraOpThreads(int threads);
int IntraOpThreads();

// The ranks with this rank's host name, and the cores that they may use together.
struct NodeCores {
  int64_t ranks = 1, cores = 1;
  int fair_threads = 1;  // FairThreads of this rank
};
// Collective.
absl::StatusOr<NodeCores> CompareCores(comm::ControlPlane& control);

std::string HostName();

}  // namespace torii::launch
