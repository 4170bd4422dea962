// One NCCL communicator and the calls that one rank makes on it, one after the other: their
// sequence, deadlines, errors and marks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/call.h"
#include "comm/nccl/call_in_flight.h"
#include "comm/nccl/device_streams.h"
#include "comm/nccl/nccl_world.h"

namespace torii::comm {

// NCCL never blocks here: it answers "in progress", and the channel asks again until the deadline
// or the end of the world. A call then still runs on the device; the mark behind it says when it is
// done. Errors end the world (NcclWorld::End).
class NcclChannel {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Collective over `host`, whose control plane carries NCCL's id from rank 0. The host outlives
  // the channel. Close must be called before the end.
  static absl::StatusOr<std::shared_ptr<NcclChannel>> Create(
      Communicator& host, std::shared_ptr<NcclWorld> world, std::shared_ptr<DeviceStreams> streams);
  NcclChannel(const NcclChannel&) = delete;
  NcclChannel& operator=(const NcclChannel&) = delete;

  int rank() const { return rank_; }
  int world_size() const { return world_size_; }
  int64_t NextSequence() { return sequence_++; }

  // Starts the clock of a call, for the messages of Run. The reason if the world has ended.
  absl::Status Start(const Call& call);
  // Gives the device one group of NCCL's operations, behind the work of the caller's current
  // stream. `post` calls the operations and returns the first result that is an error. OK: the
  // device has the work.
  using Post = absl::FunctionRef<NcclResult(NcclComm comm, NcclStream stream)>;
  absl::Status Run(Post post);
  // Gives the communicator back, together with the peers if they come in time. After the end of the
  // world it was aborted.
  void Close();

  // What follows may be called by any thread.

  // A fault of NCCL or of the device, or a call that takes longer than the deadline: kPeerLost.
  absl::Status Look(Time now);
  // Adds a line for each unfinished call.
  void AddFlight(Time now, std::vector<std::string>& lines);
  // Ends calls in progress; their results hold anything.
  void Abort();

 private:
  class Inside;  // the lock of a thread that goes into NCCL

  NcclChannel(int rank, int world_size, std::shared_ptr<NcclWorld> world,
              std::shared_ptr<DeviceStreams> streams);

  const NcclLibrary& nccl() const { return world_->library(); }
  absl::Status Init(const NcclId& id);
  absl::Status PostAndMark(Post post);
  NcclResult PostGroup(Post post);
  // Asks NCCL until it is no longer in progress.
  absl::Status WhileInProgress(const char* what, Time started, std::chrono::milliseconds deadline);
  // Puts a mark behind the work of the current call.
  absl::Status Mark();
  absl::Status WaitForMark(const HostMark& mark, Time started);
  absl::Status Leave();
  // With mutex_ held.
  absl::Status LookInside(Time now);
  absl::Status ForgetFinished();
  // OK for success and "in progress". With mutex_ held, by the thread that made the call.
  absl::Status Check(NcclResult result, const char* what) const;
  // What a call gets whose communicator is gone.
  absl::Status Gone() const;
  // "rank 1 waited 50 ms in AllReduce of ... (call 3) for its peers".
  std::string Waited(std::chrono::milliseconds time, const KeptCall& call) const;
  void Warn(const KeptCall& call) const;

  const std::shared_ptr<NcclWorld> world_;
  const std::shared_ptr<DeviceStreams> streams_;
  const int rank_;
  const int world_size_;
  int64_t sequence_ = 0;

  std::timed_mutex mutex_;  // of what follows; held during calls of NCCL, which do not block
  // Null before Init, after Close and after Abort.
  std::atomic<NcclComm> handle_ = nullptr;
  CallInFlight last_;                             // being given to the device, or given to it
  bool starting_ = false;                         // it is being given
  std::deque<CallInFlight> in_flight_;            // oldest first
  std::vector<std::unique_ptr<HostMark>> marks_;  // free for use
  // When the thread that holds mutex_ went into NCCL. Time(): none did.
  std::atomic<Time> inside_since_ = Time();
};

}  // namespace torii::comm
