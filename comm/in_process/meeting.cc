#include "comm/in_process/meeting.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"

namespace torii::comm {

Meeting::Meeting(int world_size, std::chrono::milliseconds deadline)
    : deadline_(deadline),
      offers_(static_cast<size_t>(world_size)),
      present_(static_cast<size_t>(world_size), false),
      left_(static_cast<size_t>(world_size), false) {}

absl::Status Meeting::Meet(int rank, const Offer& offer) {
  std::unique_lock lock(mutex_);
  if (!broken_.ok()) {
    return broken_;
  }
  if (const auto gone = std::find(left_.begin(), left_.end(), true); gone != left_.end()) {
    BreakLocked(
        PeerLostError(absl::StrCat("rank ", gone - left_.begin(), " has left the group; rank ",
                                   rank, " still calls ", ToText(*offer.call))));
    return broken_;
  }
  offers_[static_cast<size_t>(rank)] = offer;
  present_[static_cast<size_t>(rank)] = true;
  if (++num_present_ == world_size()) {
    num_reading_ = num_present_;
    num_present_ = 0;
    std::fill(present_.begin(), present_.end(), false);
    ++meetings_;
    changed_.notify_all();
    return absl::OkStatus();
  }
  const uint64_t before = meetings_;
  const auto over = std::chrono::steady_clock::now() + deadline_;
  const bool woken =
      changed_.wait_until(lock, over, [&] { return meetings_ != before || !broken_.ok(); });
  if (meetings_ != before) {
    return absl::OkStatus();
  }
  if (!woken) {
    BreakLocked(TimedOutLocked(rank));
  }
  return broken_;
}

void Meeting::Part() {
  std::unique_lock lock(mutex_);
  if (--num_reading_ == 0) {
    changed_.notify_all();
  }
  // The next meeting cannot be complete without this rank, so the count stays 0 until it has seen
  // it.
  changed_.wait(lock, [&] { return num_reading_ == 0; });
}

void Meeting::Break(int rank, const absl::Status& reason) {
  const std::lock_guard lock(mutex_);
  if (broken_.ok()) {
    breaking_rank_ = rank;
    BreakLocked(Annotate(reason, absl::StrCat("rank ", rank)));
  }
}

void Meeting::Leave(int rank) {
  const std::lock_guard lock(mutex_);
  left_[static_cast<size_t>(rank)] = true;
  if (num_present_ == 0 || !broken_.ok()) {
    return;
  }
  const auto waiting = std::find(present_.begin(), present_.end(), true) - present_.begin();
  BreakLocked(PeerLostError(absl::StrCat("rank ", rank, " has left the group while rank ", waiting,
                                         " waits in ",
                                         ToText(*offers_[static_cast<size_t>(waiting)].call))));
}

int Meeting::breaking_rank() {
  const std::lock_guard lock(mutex_);
  return breaking_rank_;
}

void Meeting::BreakLocked(const absl::Status& reason) {
  broken_ = reason;
  changed_.notify_all();
}

absl::Status Meeting::TimedOutLocked(int rank) const {
  std::string missing;
  for (int r = 0; r < world_size(); ++r) {
    if (!present_[static_cast<size_t>(r)]) {
      absl::StrAppend(&missing, missing.empty() ? "" : ", ", r);
    }
  }
  return PeerLostError(absl::StrCat("rank ", rank, " waited ", deadline_.count(), " ms in ",
                                    ToText(*offers_[static_cast<size_t>(rank)].call), " for rank ",
                                    missing));
}

}  // namespace torii::comm
