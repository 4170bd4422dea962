#include "comm/mpi/mpi_environment.h"

#include <mpi.h>

#include <array>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "comm/mpi/launcher.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/mpi/mpi_status.h"

namespace torii::comm {
namespace {

const char* FromEnvironment(const char* name) { return std::getenv(name); }

}  // namespace

bool StartedByMpiLauncher() { return IsMpiRank(FromEnvironment); }

absl::StatusOr<std::unique_ptr<MpiEnvironment>> MpiEnvironment::Create() {
  int initialized = 0;
  TORII_MPI_RETURN_IF_ERROR(MPI_Initialized(&initialized));
  if (initialized != 0) {
    return InternalError("MPI is initialised already; a process has one MPI environment");
  }
  TORII_RETURN_IF_ERROR(CheckSlurmStep(FromEnvironment));
  int provided = MPI_THREAD_SINGLE;
  TORII_MPI_RETURN_IF_ERROR(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
  // From here on the destructor finalises.
  std::unique_ptr<MpiEnvironment> environment(new MpiEnvironment);
  if (provided < MPI_THREAD_FUNNELED) {
    return UsageError(absl::StrCat(MpiLibraryVersion(),
                                   " does not allow threads beside MPI; use a build with thread "
                                   "support"));
  }
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_rank(MPI_COMM_WORLD, &environment->rank_));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_size(MPI_COMM_WORLD, &environment->world_size_));
  TORII_RETURN_IF_ERROR(CheckSlurmWorldSize(FromEnvironment, environment->world_size_));
  MPI_Comm node = MPI_COMM_NULL;
  TORII_MPI_RETURN_IF_ERROR(
      MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, /*key=*/0, MPI_INFO_NULL, &node));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_rank(node, &environment->local_rank_));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_size(node, &environment->local_size_));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_free(&node));
  return environment;
}

MpiEnvironment::~MpiEnvironment() {
  if (!AbortIsUnderWay()) {
    TORII_MPI_STATUS(MPI_Finalize()).IgnoreError();
  }
}

absl::StatusOr<std::unique_ptr<Communicator>> MpiEnvironment::World(
    std::chrono::milliseconds deadline) {
  MpiOptions options;
  options.deadline = deadline;
  return MpiCommunicator::Create(MPI_COMM_WORLD, options);
}

std::string MpiLibraryVersion() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (!TORII_MPI_STATUS(MPI_Get_library_version(text.data(), &length)).ok()) {
    return "unknown MPI library";
  }
  const std::string version(text.data());
  return version.substr(0, version.find('\n'));
}

}  // namespace torii::comm
