// Where the rank threads of one in-process group meet. Shared by the communicators of the group.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "comm/call.h"

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
  Meeting(int world_size, std::chrono::milliseconds deadline);

  int world_size() const { return static_cast<int>(offers_.size()); }

  // Waits until all ranks have offered. Then `offers()` is theirs to read until Part.
  absl::Status Meet(int rank, const Offer& offer);
  std::span<const Offer> offers() const { return offers_; }
  void Part();

  // Breaks the group: every present and later Meet returns `reason`, unless it is broken already.
  void Break(int rank, const absl::Status& reason);
  // The rank calls no more: breaks the group if peers wait for it or meet later.
  void Leave(int rank);
  // The rank that broke the group by Break, or -1.
  int breaking_rank();

 private:
  // All with mutex_ held.
  void BreakLocked(const absl::Status& reason);
  absl::Status TimedOutLocked(int rank) const;

  const std::chrono::milliseconds deadline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Offer> offers_;  // [W]
  std::vector<bool> present_;  // [W] has offered and waits
  std::vector<bool> left_;     // [W]
  int num_present_ = 0;
  int num_reading_ = 0;    // ranks between Meet and Part
  uint64_t meetings_ = 0;  // how many were complete
  absl::Status broken_;    // the reason, once the group is broken
  int breaking_rank_ = -1;
};

}  // namespace torii::comm
