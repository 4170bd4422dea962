#include "comm/mpi/abort.h"

#include <mpi.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "comm/mpi/mpi_status.h"

namespace torii::comm {
namespace {

std::atomic<bool> abort_is_under_way = false;

}  // namespace

bool AbortIsUnderWay() { return abort_is_under_way; }

void AbortWorld(int rank, const absl::Status& reason) {
  if (abort_is_under_way.exchange(true)) {
    // Another thread of this process is ending it; its reason came first.
    while (true) {
      pause();
    }
  }
  const int code = static_cast<int>(reason.ok() ? ExitCode::kInternal : ExitCodeOf(reason));
  const std::string line =
      absl::StrCat("torii: error[", code, "]: ", reason.message(), " (rank ", rank, ")\n");
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  TORII_MPI_STATUS(MPI_Abort(MPI_COMM_WORLD, code)).IgnoreError();
  std::_Exit(code);
}

}  // namespace torii::comm
