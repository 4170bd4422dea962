// Where the rank threads of an in-process group meet for their collectives. Shared by the
// communicators of the group that have one sequence of calls; a duplicate has a meeting of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "comm/call.h"
#include "comm/in_process/group_state.h"

namespace torii::comm {

// What one rank brings to a collective. All of it is the rank's own memory, which it keeps until
// Part.
struct Offer {
  const Call* call = nullptr;
  const void* in = nullptr;
  void* out = nullptr;
  bool stop = false;  // it asks for a stop
};

// A collective is Meet, then reading the peers' offers and memory, then Part. Meet either succeeds
// on all ranks or on none: a deadline or an abort breaks the group only while somebody is missing.
// Between Meet and Part ranks only copy, so the wait in Part ends by itself, and no rank leaves
// while a peer reads its memory.
class Meeting {
 public:
  explicit Meeting(std::shared_ptr<GroupState> group);
  ~Meeting();
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  int world_size() const { return group_->world_size; }
  // Another meeting of the same group, for a sequence of its own.
  std::shared_ptr<Meeting> Another() const { return std::make_shared<Meeting>(group_); }

  // Waits until all ranks have offered. Then `offers()` is theirs to read until Part.
  absl::Status Meet(int rank, const Offer& offer);
  std::span<const Offer> offers() const { return offers_; }
  void Part();

  // Breaks the group: every present and later Meet of it, here or in another meeting, returns
  // `reason`, unless it is broken already.
  void Break(int rank, const absl::Status& reason);
  // The rank calls no more: breaks the group if peers wait for it here or meet later.
  void Leave(int rank);

 private:
  using Time = std::chrono::steady_clock::time_point;

  // All with the lock of the group held.
  bool WaitUntil(std::unique_lock<std::mutex>& lock, Time time, uint64_t meetings_before);
  void WarnLocked(int rank) const;
  // "rank 0 waited 50 ms in AllReduce of ... (call 3) for ranks 1, 2".
  std::string WaitLocked(int rank, std::chrono::milliseconds time) const;

  const std::shared_ptr<GroupState> group_;
  std::condition_variable changed_;
  std::vector<Offer> offers_;  // [W]
  std::vector<bool> present_;  // [W] has offered and waits
  std::vector<bool> left_;     // [W]
  int num_present_ = 0;
  int num_reading_ = 0;    // ranks between Meet and Part
  uint64_t meetings_ = 0;  // how many were complete
};

}  // namespace torii::comm
