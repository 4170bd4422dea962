#include "launch/process/runtime.h"

#include <c10/util/Exception.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <span>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/secrets.h"
#include "base/status_macros.h"
#include "comm/checked_communicator.h"
#include "comm/in_process/rank_group.h"
#include "comm/mpi/mpi_environment.h"
#include "comm/peer_status.h"
#include "launch/process/cores.h"
#include "launch/process/gpu_world.h"

namespace torii::launch {
namespace {

// More threads than this as ranks would only exhaust the memory of one machine.
constexpr int64_t kMostThreadRanks = 64;

std::atomic<bool> stop_asked{false};

extern "C" void OnStopSignal(int signal) {
  stop_asked.store(true);
  if (signal == SIGINT) ::signal(SIGINT, SIG_DFL);  // the next one ends the program
}

bool WantsChecks(const RankOptions& options) {
  const char* asked = std::getenv("TORII_CHECKED_COMM");
  return options.check_collectives || (asked != nullptr && std::string(asked) == "1");
}

// --threads, else OMP_NUM_THREADS, else 0.
int ThreadsAsked(const RankOptions& options) {
  if (options.threads > 0) return static_cast<int>(options.threads);
  const char* omp = std::getenv("OMP_NUM_THREADS");
  const int threads = omp == nullptr ? 0 : std::atoi(omp);
  return threads > 0 ? threads : 0;
}

void WarnIfOversubscribed(int64_t ranks, int64_t threads, int64_t cores) {
  const std::string warning = OversubscriptionWarning(ranks, threads, cores);
  if (!warning.empty()) TORII_WARNING(warning);
}

}  // namespace

void RankOptions::Declare(FlagSet& flags) {
  flags.AddInteger("ranks", &ranks, 1,
                   "Run N ranks as threads of this process. Under mpirun or srun the launcher says "
                   "how many ranks there are.");
  flags.AddInteger("threads", &threads, 1,
                   "Threads of each rank. Default: OMP_NUM_THREADS, else the cores shared fairly.");
  flags.AddText(
      "device", &device, "cpu|cuda|auto|emulated",
      "Where the model lives. auto (default): a GPU for each rank where there is one, else the "
      "CPU. cuda: a GPU, or an error that says what is missing. cpu: no GPU. emulated: a GPU's "
      "kernels run by the CPU, very slow, for tests.");
  flags.AddSwitch("check-collectives", &check_collectives,
                  "Verify before each exchange that all ranks make the same call (slower).");
}

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Start() {
  const char* failpoints = std::getenv("TORII_FAIL");
  TORII_RETURN_IF_ERROR(Annotate(ArmFailpoints(failpoints == nullptr ? "" : failpoints),
                                 "environment variable TORII_FAIL"));
  ::signal(SIGXFSZ, SIG_IGN);  // a file above its limit is an error of the write, not a death
  std::unique_ptr<Runtime> runtime(new Runtime);
  if (comm::StartedByMpiLauncher()) {
    TORII_ASSIGN_OR_RETURN(runtime->mpi_, comm::MpiEnvironment::Create());
    SetLogRank(runtime->mpi_->rank());
  }
  return runtime;
}

Runtime::~Runtime() = default;

bool Runtime::is_first_process() const { return mpi_ == nullptr || mpi_->rank() == 0; }
int Runtime::processes() const { return mpi_ == nullptr ? 1 : mpi_->world_size(); }

std::string Runtime::Launcher() const { return mpi_ == nullptr ? "this process" : "MPI"; }

absl::Status Runtime::RunOnRanks(const RankOptions& options, const RankBody& body) {
  TORII_ASSIGN_OR_RETURN(const RunDevice devices, RunDevice::Open(options.device));
  if (!devices.note().empty() && is_first_process()) TORII_INFO(devices.note());
  if (mpi_ != nullptr) return RunOnMpi(options, devices, body);
  if (options.ranks > kMostThreadRanks) {
    return UsageError(absl::StrCat("--ranks ", options.ranks, ": one process runs at most ",
                                   kMostThreadRanks, " ranks as threads; start more with mpirun"));
  }
  const int ranks = options.ranks > 0 ? static_cast<int>(options.ranks) : 1;
  const auto cores = static_cast<int>(AllowedCores().size());
  int threads = ThreadsAsked(options);
  if (threads == 0) threads = std::max(1, cores / ranks);
  WarnIfOversubscribed(ranks, threads, cores);
  SetIntraOpThreads(threads);
  return comm::RunRanks(ranks, [&](comm::Communicator& comm) {
    SetLogRank(comm.rank());
    SetIntraOpThreads(threads);
    return CatchExceptions([&]() -> absl::Status {
      TORII_ASSIGN_OR_RETURN(const kernels::Device device, devices.OfRank(comm.rank(), ranks));
      if (!WantsChecks(options)) return body(comm, device);
      const auto checked = comm::MakeChecked(comm);
      return body(*checked, device);
    });
  });
}

absl::Status Runtime::RunOnMpi(const RankOptions& options, const RunDevice& devices,
                               const RankBody& body) {
  if (options.ranks > 0) {
    return UsageError(absl::StrCat("--ranks ", options.ranks,
                                   " runs ranks as threads, but an MPI launcher started ",
                                   processes(), " ranks: leave --ranks out, or the launcher"));
  }
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<comm::Communicator> world, mpi_->World());
  std::unique_ptr<comm::Communicator> checked;
  if (WantsChecks(options)) checked = comm::MakeChecked(*world);
  const absl::Status status =
      RunInWorld(options, devices, checked == nullptr ? *world : *checked, body);
  if (!status.ok()) ended_world_ = std::move(world);  // Finish ends the processes
  return status;
}

absl::Status Runtime::RunInWorld(const RankOptions& options, const RunDevice& devices,
                                 comm::Communicator& world, const RankBody& body) {
  TORII_ASSIGN_OR_RETURN(const NodeCores node, CompareCores(world.control()));
  const int asked = ThreadsAsked(options);
  const int threads = asked > 0 ? asked : node.fair_threads;
  SetIntraOpThreads(threads);
  if (mpi_->local_rank() == 0) WarnIfOversubscribed(node.ranks, threads, node.cores);
  const absl::StatusOr<kernels::Device> device =
      devices.OfRank(mpi_->local_rank(), mpi_->local_size());
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(world.control(), device.status()));
  const auto run = [&](comm::Communicator& comm) {
    return CatchExceptions([&] { return body(comm, *device); });
  };
  return devices.is_gpu() ? RunOnGpus(world, *devices.plugin(), *device, options.sums, run)
                          : run(world);
}

const std::atomic<bool>* Runtime::StopOnSignals() {
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) ::sigaction(signal, &action, nullptr);
  return &stop_asked;
}

int Runtime::Finish(const absl::Status& status) {
  const auto code = static_cast<int>(ExitCodeOf(status));
  const int rank = mpi_ == nullptr ? 0 : mpi_->rank();
  if (code == static_cast<int>(ExitCode::kInterrupted)) {
    // All ranks stopped together and their work is saved: they leave in good order.
    if (rank == 0) std::fprintf(stderr, "%s\n", ErrorLine(status).c_str());
  } else if (!status.ok() && processes() > 1) {
    // Abort prints the line and ends every process; the first rank to get there speaks for all.
    std::this_thread::sleep_for(std::chrono::milliseconds(ReportDelayMs(rank, status)));
    if (before_abort_) before_abort_(status);
    mpi_->Abort(status);
  } else if (!status.ok()) {
    std::fprintf(stderr, "%s\n", ErrorLine(status).c_str());
  }
  ended_world_.reset();
  mpi_.reset();
  return code;
}

std::string ErrorLine(const absl::Status& status) {
  return absl::StrCat("torii: error[", static_cast<int>(ExitCodeOf(status)),
                      "]: ", RedactUris(std::string(status.message())));
}

int ReportDelayMs(int rank, const absl::Status& status) {
  const int own_turn = rank == 0 ? 0 : 2000 + 50 * std::min(rank, 20);
  return own_turn + (comm::IsFromPeer(status) ? 3500 : 0);
}

absl::Status CatchExceptions(const std::function<absl::Status()>& body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    return InternalError(absl::StrCat("LibTorch: ", error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    return InternalError("out of memory");
  } catch (const std::exception& error) {
    return InternalError(error.what());
  }
}

}  // namespace torii::launch
