#include "launch/process/cores.h"

#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status_macros.h"

namespace torii::launch {
namespace {

// A rank's cores as bits, and a hash of its host's name behind them: kMaskWords + 1 words.
constexpr size_t kMaskWords = CPU_SETSIZE / 64;

std::vector<int> CoresOf(std::span<const int64_t> words) {
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    const auto word = static_cast<uint64_t>(words[static_cast<size_t>(core / 64)]);
    if (((word >> (core % 64)) & 1) != 0) cores.push_back(core);
  }
  return cores;
}

}  // namespace

std::string HostName() {
  char name[256] = {};
  if (::gethostname(name, sizeof(name) - 1) != 0) return "unknown";
  return name;
}

std::vector<int> AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(static_cast<size_t>(core), &set)) cores.push_back(core);
    }
  }
  if (cores.empty()) cores.push_back(0);
  return cores;
}

int FairThreads(const std::vector<std::vector<int>>& masks, size_t rank) {
  std::map<int, int> users;
  for (const std::vector<int>& mask : masks) {
    for (const int core : mask) ++users[core];
  }
  double share = 0;
  for (const int core : masks[rank]) share += 1.0 / users[core];
  return std::max(1, static_cast<int>(share + 1e-9));
}

std::string OversubscriptionWarning(int64_t ranks, int64_t threads, int64_t cores) {
  if (ranks * threads <= cores) return "";
  return absl::StrCat(ranks, ranks == 1 ? " rank" : " ranks", " of ", threads,
                      threads == 1 ? " thread" : " threads", " on ", cores,
                      cores == 1 ? " core" : " cores",
                      ": more threads than cores, this will be slow");
}

void SetIntraOpThreads(int threads) {
  (void)at::get_num_threads();  // a thread's first call initialises it, and would undo the setting
  at::set_num_threads(threads);
}

int IntraOpThreads() { return at::get_num_threads(); }

absl::StatusOr<NodeCores> CompareCores(comm::ControlPlane& control) {
  constexpr size_t kWords = kMaskWords + 1;
  std::array<int64_t, kWords> mine = {};
  for (const int core : AllowedCores()) {
    mine[static_cast<size_t>(core / 64)] |= static_cast<int64_t>(uint64_t{1} << (core % 64));
  }
  mine[kMaskWords] = static_cast<int64_t>(StableHash(HostName(), 0));
  TORII_ASSIGN_OR_RETURN(const auto all, comm::AllGatherValue(control, mine));
  std::vector<std::vector<int>> masks;
  size_t me = 0;
  for (int rank = 0; rank < control.world_size(); ++rank) {
    const std::array<int64_t, kWords>& words = all[static_cast<size_t>(rank)];
    if (words[kMaskWords] != mine[kMaskWords]) continue;
    if (rank == control.rank()) me = masks.size();
    masks.push_back(CoresOf(words));
  }
  std::set<int> cores;
  for (const std::vector<int>& mask : masks) cores.insert(mask.begin(), mask.end());
  return NodeCores{.ranks = std::ssize(masks),
                   .cores = std::ssize(cores),
                   .fair_threads = FairThreads(masks, me)};
}

}  // namespace torii::launch
