#include "comm/nccl/nccl_world.h"

#include <algorithm>

#include "base/status_macros.h"
#include "comm/nccl/nccl_channel.h"

namespace torii::comm {

absl::Status NcclWorld::reason() const {
  if (!ended()) return absl::OkStatus();
  const std::lock_guard lock(mutex_);
  return reason_;
}

std::vector<NcclWorld::Member> NcclWorld::Members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

absl::Status NcclWorld::End(const absl::Status& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!reason_.ok()) return reason_;
    reason_ = reason;
    ended_.store(true, std::memory_order_release);
  }
  ++aborting_;
  for (const Member& member : Members()) member.channel->Abort();
  --aborting_;
  return reason;
}

void NcclWorld::Add(const std::shared_ptr<NcclChannel>& channel, Communicator& host) {
  {
    const std::lock_guard lock(mutex_);
    members_.push_back({channel, &host});
    ++num_channels_;
  }
  // The world may have ended just before, without this communicator.
  if (ended()) channel->Abort();
}

void NcclWorld::Remove(const NcclChannel& channel) {
  const std::lock_guard hosts_lock(hosts_mutex_);
  const std::lock_guard lock(mutex_);
  num_channels_ -= static_cast<int>(std::erase_if(
      members_, [&](const Member& member) { return member.channel.get() == &channel; }));
}

absl::Status NcclWorld::Look(std::chrono::steady_clock::time_point now) {
  for (const Member& member : Members()) TORII_RETURN_IF_ERROR(member.channel->Look(now));
  return absl::OkStatus();
}

std::vector<std::string> NcclWorld::Flight(std::chrono::steady_clock::time_point now) {
  std::vector<std::string> lines;
  for (const Member& member : Members()) member.channel->AddFlight(now, lines);
  return lines;
}

void NcclWorld::AbortHosts(const absl::Status& reason) {
  const std::lock_guard hosts_lock(hosts_mutex_);
  for (const Member& member : Members()) member.host->Abort(reason);
}

}  // namespace torii::comm
