// The process and its ranks: how many there are and where (this process alone, threads, MPI),
// threads per rank, signals, failpoints, and the end of the program: one error line from one rank,
// one exit code.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "comm/exchange.pb.h"
#include "kernels/device.h"
#include "launch/config/flags.h"
#include "launch/process/run_device.h"

namespace torii::comm {
class MpiEnvironment;
}

namespace torii::launch {

// The flags of commands that run on ranks.
struct RankOptions {
  int64_t ranks = 0;    // threads as ranks; 0: not asked for
  int64_t threads = 0;  // intra-op threads of each rank; 0: share the cores
  bool check_collectives = false;
  std::string device = "auto";                                   // run_device.h
  comm::ExchangeConfig::Sums sums = comm::ExchangeConfig::NCCL;  // between GPUs
  void Declare(FlagSet& flags);
};

// What a rank runs, on the device that it has.
using RankBody = std::function<absl::Status(comm::Communicator&, const kernels::Device&)>;

class Runtime {
 public:
  // Starts MPI if an MPI launcher started this process; arms the failpoints of TORII_FAIL. At most
  // one in a process.
  static absl::StatusOr<std::unique_ptr<Runtime>> Start();
  ~Runtime();

  bool under_mpi() const { return mpi_ != nullptr; }
  // The first process does what is done once. Without MPI there is one process, which is the first.
  bool is_first_process() const;
  int processes() const;
  // What started the ranks: "MPI" or "this process".
  std::string Launcher() const;

  // Runs `body` on every rank: each MPI process, or options.ranks threads, or this thread. kUsage
  // if --ranks is given under an MPI launcher. What a rank throws becomes kInternal. All ranks are
  // told when one fails. Each call makes a world, which ends with it; whoever runs on ranks again,
  // in a smaller world perhaps, calls this again.
  absl::Status RunOnRanks(const RankOptions& options, const RankBody& body);

  // Set by SIGTERM, SIGUSR1 and SIGINT once StopOnSignals was called; a second SIGINT ends the
  // program at once. It reaches the other ranks with what a step says anyway.
  const std::atomic<bool>* StopOnSignals();

  // The process that ends the world with an error calls `record` just before.
  void BeforeAbort(std::function<void(const absl::Status&)> record) {
    before_abort_ = std::move(record);
  }

  // The end of the program: one rank prints "torii: error[65]: message" unless `status` is OK.
  // Returns the exit code. Under MPI an error ends every process with that code.
  int Finish(const absl::Status& status);

 private:
  Runtime() = default;
  absl::Status RunOnMpi(const RankOptions& options, const RunDevice& devices, const RankBody& body);
  // Shares the node's cores among its ranks, then runs `body` on this one.
  absl::Status RunInWorld(const RankOptions& options, const RunDevice& devices,
                          comm::Communicator& world, const RankBody& body);

  std::unique_ptr<comm::MpiEnvironment> mpi_;
  // A world that an error ended on this rank, while its peers may still be in a call. Null if none.
  std::unique_ptr<comm::Communicator> ended_world_;
  std::function<void(const absl::Status&)> before_abort_;
};

// "torii: error[65]: message". Pure.
std::string ErrorLine(const absl::Status& status);

// How long rank `rank` waits before it reports `status`, so that the rank with the cause speaks
// first and alone: rank 0 reports its own errors at once; others, and errors that are about a peer,
// later. Milliseconds. Pure.
int ReportDelayMs(int rank, const absl::Status& status);

// Runs `body`; an exception becomes kInternal.
absl::Status CatchExceptions(const std::function<absl::Status()>& body);

}  // namespace torii::launch
