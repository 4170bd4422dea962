#include "comm/in_process/meeting.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "comm/peer_status.h"

namespace torii::comm {

Meeting::Meeting(std::shared_ptr<GroupState> group)
    : group_(std::move(group)),
      offers_(static_cast<size_t>(group_->world_size)),
      present_(static_cast<size_t>(group_->world_size), false),
      left_(static_cast<size_t>(group_->world_size), false) {
  const std::lock_guard lock(group_->mutex);
  group_->meetings.push_back(&changed_);
}

Meeting::~Meeting() {
  const std::lock_guard lock(group_->mutex);
  std::erase(group_->meetings, &changed_);
}

absl::Status Meeting::Meet(int rank, const Offer& offer) {
  std::unique_lock lock(group_->mutex);
  if (!group_->broken.ok()) {
    return group_->broken;
  }
  if (const auto gone = std::find(left_.begin(), left_.end(), true); gone != left_.end()) {
    group_->Break(
        PeerLostError(absl::StrCat("rank ", gone - left_.begin(), " has left the group; rank ",
                                   rank, " still calls ", ToText(*offer.call))));
    return group_->broken;
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
  const RankGroupOptions& options = group_->options;
  const Time start = std::chrono::steady_clock::now();
  bool woken = WaitUntil(lock, start + std::min(options.warn_after, options.deadline), before);
  if (!woken && options.warn_after < options.deadline) {
    WarnLocked(rank);
    woken = WaitUntil(lock, start + options.deadline, before);
  }
  if (meetings_ != before) {
    return absl::OkStatus();
  }
  if (!woken) {
    group_->Break(PeerLostError(WaitLocked(rank, options.deadline)));
  }
  return group_->broken;
}

// False: `time` has come, and neither the meeting nor the end of the group.
bool Meeting::WaitUntil(std::unique_lock<std::mutex>& lock, Time time, uint64_t meetings_before) {
  return changed_.wait_until(lock, time,
                             [&] { return meetings_ != meetings_before || !group_->broken.ok(); });
}

void Meeting::Part() {
  std::unique_lock lock(group_->mutex);
  if (--num_reading_ == 0) {
    changed_.notify_all();
  }
  // The next meeting cannot be complete without this rank, so the count stays 0 until it has seen
  // it.
  changed_.wait(lock, [&] { return num_reading_ == 0; });
}

void Meeting::Break(int rank, const absl::Status& reason) {
  const std::lock_guard lock(group_->mutex);
  if (group_->broken.ok()) {
    group_->breaking_rank = rank;
    group_->Break(FromPeer(rank, reason));
  }
}

void Meeting::Leave(int rank) {
  const std::lock_guard lock(group_->mutex);
  left_[static_cast<size_t>(rank)] = true;
  if (num_present_ == 0 || !group_->broken.ok()) {
    return;
  }
  const auto waiting = std::find(present_.begin(), present_.end(), true) - present_.begin();
  group_->Break(PeerLostError(absl::StrCat("rank ", rank, " has left the group while rank ",
                                           waiting, " waits in ",
                                           ToText(*offers_[static_cast<size_t>(waiting)].call))));
}

// Of the ranks that wait only the first one speaks.
void Meeting::WarnLocked(int rank) const {
  if (std::find(present_.begin(), present_.end(), true) - present_.begin() != rank) return;
  TORII_WARNING("stuck: ", WaitLocked(rank, group_->options.warn_after), "; it gives up after ",
                group_->options.deadline.count(), " ms");
}

std::string Meeting::WaitLocked(int rank, std::chrono::milliseconds time) const {
  std::string missing;
  int count = 0;
  for (int r = 0; r < world_size(); ++r) {
    if (!present_[static_cast<size_t>(r)]) {
      absl::StrAppend(&missing, count++ == 0 ? "" : ", ", r);
    }
  }
  return absl::StrCat("rank ", rank, " waited ", time.count(), " ms in ",
                      ToText(*offers_[static_cast<size_t>(rank)].call),
                      count == 1 ? " for rank " : " for ranks ", missing);
}

}  // namespace torii::comm
