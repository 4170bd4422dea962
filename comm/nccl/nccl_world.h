// What the ranks of a world that live in this process share: NCCL, the limits, all NCCL
// communicators, and the reason why the world ended.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "comm/exchange.pb.h"
#include "comm/nccl/nccl_library.h"

namespace torii::comm {

class NcclChannel;

struct NcclOptions {
  ExchangeConfig::Sums sums = ExchangeConfig::NCCL;
  // A call that takes longer, on the host or on the device, fails with kPeerLost.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
  // After so long a warning names the call that waits.
  std::chrono::milliseconds warn_after = std::chrono::seconds(10);
  // The same as `deadline` for the making of a communicator.
  std::chrono::milliseconds start_deadline = std::chrono::minutes(2);
  // How long a communicator that is destroyed waits for its peers to destroy theirs.
  std::chrono::milliseconds leave_within = std::chrono::seconds(10);
  // NCCL lets several ranks share a GPU (NCCL >= 2.30 with NCCL_MULTI_RANK_GPU_ENABLE=1).
  bool several_ranks_per_gpu = false;
  // Every call returns only when the device has finished it. Slow; to find which call fails.
  bool wait_for_each_call = false;
};

class NcclWorld {
 public:
  // `library` outlives it.
  NcclWorld(const NcclLibrary& library, NcclOptions options)
      : library_(library), options_(options) {}

  const NcclLibrary& library() const { return library_; }
  const NcclOptions& options() const { return options_; }

  // What follows may be called by any thread.

  // OK while the world lives.
  absl::Status reason() const;
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  // Ends the world with `reason`, unless it has ended: aborts every communicator of this process,
  // so that their calls in progress return. Ranks of other processes are not told; that is for the
  // host's communicator. Returns the reason that counts, the first one.
  absl::Status End(const absl::Status& reason);
  // How many threads are in NCCL's abort at this moment: they hang if the device does.
  int aborting() const { return aborting_.load(); }

  // A communicator is looked at from Add to Remove.
  void Add(const std::shared_ptr<NcclChannel>& channel, Communicator& host);
  void Remove(const NcclChannel& channel);
  int channels() const { return num_channels_.load(); }
  // OK, or the first fault that a look at the unfinished calls of all communicators shows.
  absl::Status Look(std::chrono::steady_clock::time_point now);
  // One line for each unfinished call.
  std::vector<std::string> Flight(std::chrono::steady_clock::time_point now);
  // Ends the world for the ranks of other processes too: Abort of the hosts' communicators.
  void AbortHosts(const absl::Status& reason);

 private:
  struct Member {
    std::shared_ptr<NcclChannel> channel;
    Communicator* host;
  };
  std::vector<Member> Members() const;

  const NcclLibrary& library_;
  const NcclOptions options_;
  std::atomic<bool> ended_ = false;
  std::atomic<int> aborting_ = 0;
  std::atomic<int> num_channels_ = 0;
  mutable std::mutex mutex_;  // of what follows; never held during a call of NCCL
  absl::Status reason_;
  std::vector<Member> members_;
  std::mutex hosts_mutex_;  // held while a host's communicator is used, so that it stays
};

}  // namespace torii::comm
