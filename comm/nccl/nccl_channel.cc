#include "comm/nccl/nccl_channel.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "comm/nccl/poll_pause.h"

namespace torii::comm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Abort waits so long for a thread that is inside NCCL. If that thread hangs, abort is what ends it.
constexpr milliseconds kAbortPatience{500};

const char* Name(NcclResult result) {
  switch (result) {
    case NcclResult::kSuccess:
      return "success";
    case NcclResult::kUnhandledCudaError:
      return "unhandled CUDA error";
    case NcclResult::kSystemError:
      return "system error";
    case NcclResult::kInternalError:
      return "internal error";
    case NcclResult::kInvalidArgument:
      return "invalid argument";
    case NcclResult::kInvalidUsage:
      return "invalid usage";
    case NcclResult::kRemoteError:
      return "remote error: a peer is gone or the network failed";
    case NcclResult::kInProgress:
      return "in progress";
  }
  return "unknown result";
}

bool IsError(NcclResult result) {
  return result != NcclResult::kSuccess && result != NcclResult::kInProgress;
}

milliseconds Since(steady_clock::time_point start, steady_clock::time_point now) {
  return std::chrono::duration_cast<milliseconds>(now - start);
}

}  // namespace

class NcclChannel::Inside {
 public:
  explicit Inside(NcclChannel& channel) : channel_(channel) {
    channel_.mutex_.lock();
    channel_.inside_since_ = steady_clock::now();
  }
  ~Inside() {
    channel_.inside_since_ = Time();
    channel_.mutex_.unlock();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  NcclChannel& channel_;
};

absl::StatusOr<std::shared_ptr<NcclChannel>> NcclChannel::Create(
    Communicator& host, std::shared_ptr<NcclWorld> world, std::shared_ptr<DeviceStreams> streams) {
  TORII_RETURN_IF_ERROR(world->reason());
  NcclId id = {};
  absl::Status made;
  if (host.rank() == 0) {
    const NcclResult result = world->library().get_unique_id(&id);
    if (IsError(result)) {
      made = PeerLostError(absl::StrCat(
          "NCCL: ", Name(result), " in ncclGetUniqueId: ", world->library().last_error(nullptr)));
    }
  }
  TORII_RETURN_IF_ERROR(AgreeOnStatus(host.control(), made));
  TORII_ASSIGN_OR_RETURN(const std::string bytes,
                         BroadcastText(host.control(), std::string(id.bytes, sizeof(id)), 0));
  std::memcpy(id.bytes, bytes.data(), sizeof(id));
  std::shared_ptr<NcclChannel> channel(
      new NcclChannel(host.rank(), host.world_size(), world, std::move(streams)));
  world->Add(channel, host);
  if (const absl::Status status = channel->Init(id); !status.ok()) {
    const absl::Status reason = world->End(status);
    world->Remove(*channel);
    channel->Close();
    return reason;
  }
  return channel;
}

NcclChannel::NcclChannel(int rank, int world_size, std::shared_ptr<NcclWorld> world,
                         std::shared_ptr<DeviceStreams> streams)
    : world_(std::move(world)),
      streams_(std::move(streams)),
      rank_(rank),
      world_size_(world_size),
      last_{.call = KeptCall("the start of NCCL"), .started = {}, .mark = nullptr} {}

absl::Status NcclChannel::Init(const NcclId& id) {
  constexpr const char* kWhat = "ncclCommInitRankConfig";
  const Time started = steady_clock::now();
  {
    const Inside inside(*this);
    NcclComm handle = nullptr;
    const NcclResult result = nccl().init_rank(&handle, world_size_, id, rank_);
    handle_ = handle;
    TORII_RETURN_IF_ERROR(Check(result, kWhat));
  }
  // Abort may have come before there was something to abort.
  if (world_->ended()) Abort();
  return WhileInProgress(kWhat, started, world_->options().start_deadline);
}

absl::Status NcclChannel::Start(const Call& call) {
  TORII_RETURN_IF_ERROR(world_->reason());
  const std::lock_guard lock(mutex_);
  last_.call = KeptCall(call);
  last_.started = steady_clock::now();
  return absl::OkStatus();
}

absl::Status NcclChannel::Run(Post post) {
  const absl::Status status = PostAndMark(post);
  return status.ok() ? status : world_->End(status);
}

absl::Status NcclChannel::PostAndMark(Post post) {
  {
    const Inside inside(*this);
    if (handle_ == nullptr) return Gone();
    starting_ = true;
    TORII_RETURN_IF_ERROR(Check(PostGroup(post), "ncclGroupEnd"));
  }
  TORII_RETURN_IF_ERROR(WhileInProgress("ncclGroupEnd", last_.started, world_->options().deadline));
  return Mark();
}

NcclResult NcclChannel::PostGroup(Post post) {
  if (const NcclResult result = nccl().group_start(); IsError(result)) return result;
  const NcclResult posted = post(handle_, streams_->Current());
  const NcclResult ended = nccl().group_end();
  return IsError(posted) ? posted : ended;
}

absl::Status NcclChannel::WhileInProgress(const char* what, Time started, milliseconds deadline) {
  bool warned = false;
  for (PollPause pause;; pause()) {
    {
      const Inside inside(*this);
      if (handle_ == nullptr) return Gone();
      NcclResult state = NcclResult::kSuccess;
      TORII_RETURN_IF_ERROR(Check(nccl().async_error(handle_, &state), "ncclCommGetAsyncError"));
      if (state != NcclResult::kInProgress) return Check(state, what);
    }
    TORII_RETURN_IF_ERROR(world_->reason());
    const Time now = steady_clock::now();
    if (now > started + deadline) {
      const std::lock_guard lock(mutex_);
      return PeerLostError(absl::StrCat(Waited(deadline, last_.call), ", in ", what));
    }
    if (!warned && now > started + world_->options().warn_after) {
      warned = true;
      const std::lock_guard lock(mutex_);
      Warn(last_.call);
    }
  }
}

absl::Status NcclChannel::Mark() {
  std::unique_ptr<HostMark> mark;
  {
    const std::lock_guard lock(mutex_);
    if (!marks_.empty()) {
      mark = std::move(marks_.back());
      marks_.pop_back();
    }
  }
  if (mark == nullptr) mark = streams_->MakeMark();
  TORII_RETURN_IF_ERROR(mark->Record());
  const Time started = last_.started;
  if (world_->options().wait_for_each_call) TORII_RETURN_IF_ERROR(WaitForMark(*mark, started));
  const Inside inside(*this);
  starting_ = false;
  in_flight_.push_back({.call = last_.call, .started = started, .mark = std::move(mark)});
  return LookInside(steady_clock::now());
}

absl::Status NcclChannel::WaitForMark(const HostMark& mark, Time started) {
  const milliseconds deadline = world_->options().deadline;
  const absl::Status status = mark.Wait(started + deadline, [&] { return world_->reason(); });
  // An abort lets the device go on without the result.
  TORII_RETURN_IF_ERROR(world_->reason());
  if (status.ok()) return status;
  const std::lock_guard lock(mutex_);
  return Annotate(status, Waited(Since(started, steady_clock::now()), last_.call));
}

void NcclChannel::Close() {
  if (!world_->ended()) {
    if (const absl::Status status = Leave(); !status.ok() && !world_->ended()) {
      TORII_WARNING("rank ", rank_, " leaves an NCCL communicator without its peers: ",
                    std::string(status.message()));
    }
  }
  Abort();
}

// Waits for the peers, because they may still read what this rank has sent.
absl::Status NcclChannel::Leave() {
  constexpr const char* kWhat = "ncclCommFinalize";
  {
    const Inside inside(*this);
    if (handle_ == nullptr) return absl::OkStatus();
    last_.call = KeptCall("the end of NCCL");
    TORII_RETURN_IF_ERROR(Check(nccl().finalize(handle_), kWhat));
  }
  TORII_RETURN_IF_ERROR(
      WhileInProgress(kWhat, steady_clock::now(), world_->options().leave_within));
  const Inside inside(*this);
  const NcclComm handle = handle_.exchange(nullptr);
  return handle == nullptr ? Gone() : Check(nccl().destroy(handle), "ncclCommDestroy");
}

void NcclChannel::Abort() {
  NcclComm handle = nullptr;
  {
    std::unique_lock lock(mutex_, kAbortPatience);
    handle = handle_.exchange(nullptr);
  }
  // Not under the lock: it hangs when the device does.
  if (handle != nullptr) nccl().abort(handle);
}

absl::Status NcclChannel::Look(Time now) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock()) return LookInside(now);
  const Time since = inside_since_;
  if (since == Time() || now < since + world_->options().deadline) return absl::OkStatus();
  return PeerLostError(
      absl::StrCat("rank ", rank_, " has been inside NCCL for ", Since(since, now).count(), " ms"));
}

absl::Status NcclChannel::LookInside(Time now) {
  if (handle_ == nullptr) return absl::OkStatus();
  NcclResult state = NcclResult::kSuccess;
  TORII_RETURN_IF_ERROR(Check(nccl().async_error(handle_, &state), "ncclCommGetAsyncError"));
  TORII_RETURN_IF_ERROR(Check(state, "the work on the device"));
  TORII_RETURN_IF_ERROR(ForgetFinished());
  if (in_flight_.empty()) return absl::OkStatus();
  CallInFlight& oldest = in_flight_.front();
  const NcclOptions& options = world_->options();
  if (now > oldest.started + options.deadline) {
    return PeerLostError(
        absl::StrCat(Waited(Since(oldest.started, now), oldest.call), ", on the device"));
  }
  if (!oldest.warned && now > oldest.started + options.warn_after) {
    oldest.warned = true;
    Warn(oldest.call);
  }
  return absl::OkStatus();
}

absl::Status NcclChannel::ForgetFinished() {
  while (!in_flight_.empty()) {
    CallInFlight& oldest = in_flight_.front();
    const absl::StatusOr<bool> done = oldest.mark->IsDone();
    if (!done.ok()) {
      return PeerLostError(absl::StrCat("the device of rank ", rank_, " failed in or before ",
                                        oldest.call.Text(), ": ",
                                        std::string(done.status().message())));
    }
    if (!*done) return absl::OkStatus();
    marks_.push_back(std::move(oldest.mark));
    in_flight_.pop_front();
  }
  return absl::OkStatus();
}

void NcclChannel::AddFlight(Time now, std::vector<std::string>& lines) {
  const std::string who = absl::StrCat("rank ", rank_, " of ranks 0 to ", world_size_ - 1, ": ");
  const std::unique_lock lock(mutex_, kAbortPatience);
  if (!lock.owns_lock()) {
    lines.push_back(absl::StrCat(who, "inside NCCL"));
    return;
  }
  for (const CallInFlight& call : in_flight_) {
    lines.push_back(absl::StrCat(who, call.call.Text(), ", on the device for ",
                                 Since(call.started, now).count(), " ms"));
  }
  if (starting_) {
    lines.push_back(absl::StrCat(who, last_.call.Text(), ", not yet on the device"));
  } else if (in_flight_.empty()) {
    lines.push_back(absl::StrCat(who, last_.call.Text(), ", finished, was the last"));
  }
}

absl::Status NcclChannel::Check(NcclResult result, const char* what) const {
  if (!IsError(result)) return absl::OkStatus();
  std::string message = absl::StrCat("rank ", rank_, ": NCCL: ", Name(result), " in ", what, ", ",
                                     last_.call.Text(), ": ", nccl().last_error(handle_));
  const bool bug = result == NcclResult::kInvalidArgument || result == NcclResult::kInvalidUsage;
  return bug ? InternalError(std::move(message)) : PeerLostError(std::move(message));
}

absl::Status NcclChannel::Gone() const {
  TORII_RETURN_IF_ERROR(world_->reason());
  return InternalError(absl::StrCat("rank ", rank_, ": the NCCL communicator is closed"));
}

std::string NcclChannel::Waited(milliseconds time, const KeptCall& call) const {
  return absl::StrCat("rank ", rank_, " waited ", time.count(), " ms in ", call.Text(),
                      " for its peers");
}

void NcclChannel::Warn(const KeptCall& call) const {
  const NcclOptions& options = world_->options();
  TORII_WARNING("stuck: ", Waited(options.warn_after, call), "; it gives up after ",
                options.deadline.count(), " ms");
}

}  // namespace torii::comm
