// MPI start-up and the MPI back end. At most one environment in a process, made before any MPI
// call.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace torii::comm {

// True if this process was started by mpirun, srun or another MPI launcher with a world of its own
// (looks at the launcher's environment variables; calls no MPI).
bool StartedByMpiLauncher();

class MpiEnvironment {
 public:
  // MPI_Init_thread(FUNNELED).
  static absl::StatusOr<std::unique_ptr<MpiEnvironment>> Create();
  // MPI_Finalize, unless an abort is under way.
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  // A world of all processes, on MPI communicators of its own. Collectives that take longer than
  // `deadline` fail with kPeerLost. The environment must outlive it. Collective. There may be
  // several, and another one after the last is gone.
  absl::StatusOr<std::unique_ptr<Communicator>> World(
      std::chrono::milliseconds deadline = std::chrono::minutes(10));
  // Ends every process with the exit code of `reason`, after one line on standard error.
  [[noreturn]] void Abort(const absl::Status& reason);
  int rank() const { return rank_; }
  int world_size() const { return world_size_; }
  // Ranks of this node and this rank's place among them, for threads per rank.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }

 private:
  MpiEnvironment() = default;
  int rank_ = 0, world_size_ = 1, local_rank_ = 0, local_size_ = 1;
};

// The library's version string ("Open MPI v4.1.4, ...") without initialising MPI.
std::string MpiLibraryVersion();

}  // namespace torii::comm
