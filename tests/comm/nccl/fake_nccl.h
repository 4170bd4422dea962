// A stand-in for NCCL in tests. Ranks are threads, device memory is the CPU's, a stream is a list of
// groups that are carried out in order as soon as the groups of the peers match. Strict: operations
// that do not match those of the peers, calls while another one is in progress, and the use of a
// communicator that is gone are errors. Sums are taken from the last rank to the first, so that they
// can be told from sums in rank order.
#pragma once

#include <condition_variable>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "comm/nccl/device_streams.h"
#include "comm/nccl/nccl_library.h"
#include "gtest/gtest.h"
#include "tests/comm/nccl/fake_nccl_groups.h"

namespace torii::comm::testing {

struct FakeNcclSettings {
  int version = 22809;
  // So many times a call answers "in progress" before it is done.
  int delay = 2;
  // "In progress" also lasts until the peers have come, as when connections are made. Else the host
  // goes on, and marks tell when the device is done.
  bool waits_for_peers = true;
  int rank_that_cannot_start = -1;  // ncclCommInitRankConfig fails there
  int rank_that_never_starts = -1;  // ... stays in progress
  bool id_fails = false;            // ncclGetUniqueId fails
  bool abort_hangs = false;         // until FakeNccl::LetAbortsGoOn
};

// Groups that the stream of a thread was given.
using FakeStream = std::vector<std::pair<std::shared_ptr<FakeProgress>, uint64_t>>;

// All of the stand-in, because NCCL's functions have no object.
struct FakeNcclState {
  std::mutex mutex;
  std::condition_variable changed;
  FakeNcclSettings settings;
  int next_id = 0;
  std::map<std::string, std::shared_ptr<FakeWorld>> worlds;  // by id
  std::set<NcclHandle*> live;
  std::map<int, std::string> posted;  // by rank
  std::string misuse;
  int starts = 0;
  int aborts = 0;

  static FakeNcclState& Get() {
    static auto* const state = new FakeNcclState;
    return *state;
  }

  NcclResult Misuse(const std::string& what) {
    misuse += what + "; ";
    return NcclResult::kInvalidUsage;
  }
  bool IsBusy(const NcclHandle& comm) const {
    if (comm.error != NcclResult::kSuccess) return false;
    const FakeWorld& world = *comm.world;
    return comm.polls > 0 || world.arrived < world.ranks.size() ||
           (comm.leaving && world.leaving < world.ranks.size()) ||
           (settings.waits_for_peers && comm.progress->executed < comm.progress->posted);
  }
  NcclResult State(const NcclHandle& comm) const {
    return IsBusy(comm) ? NcclResult::kInProgress : comm.error;
  }
  void Forget(NcclHandle* comm) {
    comm->world->ranks[static_cast<size_t>(comm->rank)] = nullptr;
    live.erase(comm);
    delete comm;
  }
};

// What a thread has called since ncclGroupStart.
struct FakeOpenGroup {
  int depth = 0;
  NcclHandle* comm = nullptr;
  FakeStream* stream = nullptr;
  FakeGroup operations;
};
inline thread_local FakeOpenGroup fake_open_group;
inline thread_local FakeStream fake_stream;

inline NcclResult FakeGroupEnd() {
  FakeNcclState& state = FakeNcclState::Get();
  const std::lock_guard lock(state.mutex);
  FakeOpenGroup& open = fake_open_group;
  if (--open.depth > 0) return NcclResult::kSuccess;
  const FakeOpenGroup group = std::exchange(open, {});
  if (group.operations.empty()) return state.Misuse("an empty group");
  NcclHandle& comm = *group.comm;
  if (state.live.count(&comm) == 0) return state.Misuse("a call on a communicator that is gone");
  if (state.IsBusy(comm)) return state.Misuse("a call while one is in progress");
  if (comm.error != NcclResult::kSuccess) return comm.error;
  std::string& posted = state.posted[comm.rank];
  posted += posted.empty() ? "" : " | ";
  for (size_t i = 0; i < group.operations.size(); ++i) {
    const FakeOperation& op = group.operations[i];
    if (op.is_pair() != group.operations[0].is_pair()) return state.Misuse("a mixed group");
    if (op.count == 0) return state.Misuse("an empty operation");
    posted += (i == 0 ? "" : ", ") + op.Text();
  }
  comm.queue.push_back(group.operations);
  group.stream->emplace_back(comm.progress, ++comm.progress->posted);
  comm.polls = state.settings.delay;
  comm.world->Advance();
  return state.State(comm);
}

inline NcclResult FakePost(const FakeOperation& op, NcclComm comm, NcclStream stream) {
  FakeOpenGroup& open = fake_open_group;
  if (open.depth == 0 || stream == nullptr || (open.comm != nullptr && open.comm != comm)) {
    return NcclResult::kInvalidUsage;
  }
  open.comm = comm;
  open.stream = static_cast<FakeStream*>(stream);
  open.operations.push_back(op);
  return NcclResult::kSuccess;
}

inline NcclResult FakeInit(NcclComm* out, int world_size, const NcclId& id, int rank) {
  FakeNcclState& state = FakeNcclState::Get();
  const std::lock_guard lock(state.mutex);
  if (rank == state.settings.rank_that_cannot_start) return NcclResult::kSystemError;
  std::shared_ptr<FakeWorld>& world = state.worlds[id.bytes];
  if (world == nullptr) world = std::make_shared<FakeWorld>(world_size);
  *out = new NcclHandle{.world = world, .rank = rank, .polls = state.settings.delay};
  state.live.insert(*out);
  world->ranks[static_cast<size_t>(rank)] = *out;
  ++state.starts;
  if (rank != state.settings.rank_that_never_starts) ++world->arrived;
  return NcclResult::kInProgress;
}

inline NcclResult FakeAsyncError(NcclComm comm, NcclResult* result) {
  FakeNcclState& state = FakeNcclState::Get();
  const std::lock_guard lock(state.mutex);
  if (state.live.count(comm) == 0) return state.Misuse("a question to what is gone");
  *result = state.State(*comm);
  if (comm->polls > 0) --comm->polls;
  return NcclResult::kSuccess;
}

inline NcclResult FakeFinalize(NcclComm comm) {
  FakeNcclState& state = FakeNcclState::Get();
  const std::lock_guard lock(state.mutex);
  if (state.live.count(comm) == 0 || comm->leaving) return state.Misuse("a second finalize");
  if (state.IsBusy(*comm)) return state.Misuse("finalize while a call is in progress");
  comm->leaving = true;
  ++comm->world->leaving;
  comm->polls = state.settings.delay;
  return NcclResult::kInProgress;
}

inline NcclResult FakeDestroy(NcclComm comm) {
  FakeNcclState& state = FakeNcclState::Get();
  const std::lock_guard lock(state.mutex);
  if (state.live.count(comm) == 0 || !comm->leaving || state.IsBusy(*comm)) {
    return state.Misuse("destroy before the end of finalize");
  }
  state.Forget(comm);
  return NcclResult::kSuccess;
}

inline NcclResult FakeAbort(NcclComm comm) {
  FakeNcclState& state = FakeNcclState::Get();
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock, [&] { return !state.settings.abort_hangs; });
  if (state.live.count(comm) == 0) return state.Misuse("abort of what is gone");
  comm->progress->aborted = true;
  ++state.aborts;
  state.Forget(comm);
  return NcclResult::kSuccess;
}

inline NcclResult FakeUniqueId(NcclId* id) {
  FakeNcclState& state = FakeNcclState::Get();
  const std::lock_guard lock(state.mutex);
  if (state.settings.id_fails) return NcclResult::kSystemError;
  std::snprintf(id->bytes, sizeof(id->bytes), "world %d", state.next_id++);
  return NcclResult::kSuccess;
}

inline const char* FakeLastError(NcclComm comm) {
  FakeNcclState& state = FakeNcclState::Get();
  const std::lock_guard lock(state.mutex);
  static thread_local std::string text;
  text = comm == nullptr || state.live.count(comm) == 0 ? "no network" : comm->world->error;
  return text.c_str();
}

inline const NcclLibrary& FakeNcclLibrary() {
  using Op = FakeOperation;
  static const NcclLibrary library = {
      .header_version = 22809,
      .get_version =
          [](int* version) {
            *version = FakeNcclState::Get().settings.version;
            return NcclResult::kSuccess;
          },
      .get_unique_id = FakeUniqueId,
      .init_rank = FakeInit,
      .async_error = FakeAsyncError,
      .finalize = FakeFinalize,
      .destroy = FakeDestroy,
      .abort = FakeAbort,
      .group_start =
          [] {
            ++fake_open_group.depth;
            return NcclResult::kSuccess;
          },
      .group_end = FakeGroupEnd,
      .send =
          [](const void* from, size_t n, NcclType type, int peer, NcclComm comm, NcclStream s) {
            return FakePost({Op::kSend, from, nullptr, n, type, peer}, comm, s);
          },
      .recv =
          [](void* to, size_t n, NcclType type, int peer, NcclComm comm, NcclStream s) {
            return FakePost({Op::kRecv, nullptr, to, n, type, peer}, comm, s);
          },
      .all_gather =
          [](const void* from, void* to, size_t n, NcclType type, NcclComm comm, NcclStream s) {
            return FakePost({Op::kAllGather, from, to, n, type}, comm, s);
          },
      .broadcast =
          [](const void* from, void* to, size_t n, NcclType type, int root, NcclComm comm,
             NcclStream s) { return FakePost({Op::kBroadcast, from, to, n, type, root}, comm, s); },
      .all_reduce_sum =
          [](const void* from, void* to, size_t n, NcclType type, NcclComm comm, NcclStream s) {
            return FakePost({Op::kAllReduce, from, to, n, type}, comm, s);
          },
      .reduce_scatter_sum =
          [](const void* from, void* to, size_t n, NcclType type, NcclComm comm, NcclStream s) {
            return FakePost({Op::kReduceScatter, from, to, n, type}, comm, s);
          },
      .reduce_sum =
          [](const void* from, void* to, size_t n, NcclType type, int root, NcclComm comm,
             NcclStream s) { return FakePost({Op::kReduce, from, to, n, type, root}, comm, s); },
      .last_error = FakeLastError,
  };
  return library;
}

// The settings of the stand-in for one test. At its end no communicator may be left, and nothing
// may have been misused.
class FakeNccl {
 public:
  explicit FakeNccl(const FakeNcclSettings& settings = {}) {
    const std::lock_guard lock(state_.mutex);
    state_.settings = settings;
    state_.posted.clear();
    state_.starts = 0;
    state_.aborts = 0;
  }
  ~FakeNccl() {
    const std::lock_guard lock(state_.mutex);
    EXPECT_EQ(state_.misuse, "");
    EXPECT_EQ(state_.live.size(), 0);
    state_.misuse.clear();
    state_.worlds.clear();
  }
  FakeNccl(const FakeNccl&) = delete;
  FakeNccl& operator=(const FakeNccl&) = delete;

  // All communicators of `rank` report ncclRemoteError from now on.
  void BreakConnections(int rank) {
    const std::lock_guard lock(state_.mutex);
    for (NcclHandle* comm : state_.live) {
      if (comm->rank == rank) comm->error = NcclResult::kRemoteError;
    }
  }
  void LetAbortsGoOn() {
    const std::lock_guard lock(state_.mutex);
    state_.settings.abort_hangs = false;
    state_.changed.notify_all();
  }
  // What `rank` has posted since the last call: "send 4 of 0, recv 4 of 0 | all_gather 8".
  std::string TakePosted(int rank) {
    const std::lock_guard lock(state_.mutex);
    return std::exchange(state_.posted[rank], "");
  }
  int starts() const { return Read(state_.starts); }
  int aborts() const { return Read(state_.aborts); }

 private:
  int Read(const int& count) const {
    const std::lock_guard lock(state_.mutex);
    return count;
  }
  FakeNcclState& state_ = FakeNcclState::Get();
};

}  // namespace torii::comm::testing
