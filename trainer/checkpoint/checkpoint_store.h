// The checkpoints of one run: which of them are good, which one a run goes on from, which are kept.
// A good checkpoint has a manifest and files whose digests verify. The store removes only
// checkpoints that it has written or verified itself, and never the newest good one.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/named_state.h"
#include "comm/communicator.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run_state.pb.h"

namespace torii::trainer {

inline constexpr char kCheckpointsName[] = "checkpoints";  // in a run folder

// What to do with checkpoints that the run folder already has.
enum class Resume {
  kAuto,          // go on from the newest good one, if it was made by the same configuration
  kAcceptConfig,  // go on from it although the configuration means another model
  kNever,         // move them aside and start afresh
};

class CheckpointStore {
 public:
  // keep: newest checkpoints that stay, besides the best one; at least 1. may_write: as in
  // SaveCheckpoint.
  CheckpointStore(FileSystem& files, const std::string& run_dir, int keep,
                  MayWrite may_write = nullptr);

  // Rank 0 verifies all checkpoints of the run folder. Returns the path of the newest good one on
  // all ranks, "" if the folder has no checkpoint. Damaged ones are skipped with a warning if
  // another one is good. If none is good, or if one cannot be read for another reason (no
  // permission, input or output failed, another format version), all ranks get an error with each
  // name and reason. Collective.
  absl::StatusOr<std::string> Open(comm::Communicator& comm);
  // Moves the checkpoints to checkpoints.old-N and removes what was moved there before. Collective.
  absl::Status MoveAside(comm::Communicator& comm);

  // Writes a checkpoint, unless its step is the last one saved or opened, and removes those that
  // need not be kept. best_step: of the best evaluation, -1 for none. Collective.
  absl::Status Save(comm::Communicator& comm, const StateRegistry& state,
                    const CheckpointInfo& identity, int64_t best_step);

  // The path of BestCheckpoint (below), on all ranks. Collective.
  absl::StatusOr<std::string> Best(comm::Communicator& comm) const;

 private:
  absl::StatusOr<std::string> Examine();
  absl::Status MoveAsideHere() const;
  void Prune(int64_t best_step);

  FileSystem& files_;
  const std::string run_dir_, directory_;
  const size_t keep_;
  const MayWrite may_write_;
  std::set<int64_t> good_;   // steps committed or checked by this process; rank 0
  int64_t saved_step_ = -1;  // the newest of them, on all ranks
};

// The early-stopping state of a checkpoint.
absl::StatusOr<EarlyStoppingState> EarlyStoppingOf(const CheckpointInfo& info);
absl::StatusOr<RunPosition> PositionOf(const CheckpointInfo& info);

// Steps of the checkpoint folders, ascending; none if `directory` is not there. Local.
absl::StatusOr<std::vector<int64_t>> CheckpointSteps(FileSystem& files,
                                                     const std::string& directory);
// The newest checkpoint whose content is good, or nullopt; what is damaged is skipped with a
// warning. Local.
absl::StatusOr<std::optional<CheckpointInfo>> NewestCheckpoint(FileSystem& files,
                                                               const std::string& directory);
// The best checkpoint, as the early-stopping state of the newest one names it, if its content is
// good. Otherwise, with a warning, the good one that has the best evaluation; without evaluations
// the newest good one. nullopt: there is no good one. Local.
absl::StatusOr<std::optional<CheckpointInfo>> BestCheckpoint(FileSystem& files,
                                                             const std::string& directory);

}  // namespace torii::trainer
