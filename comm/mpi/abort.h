// The end of an MPI world with an error.
#pragma once

#include "absl/status/status.h"

namespace torii::comm {

// Ends every process of MPI_COMM_WORLD with the exit code of `reason`, after one line on standard
// error. Any thread may call it.
[[noreturn]] void AbortWorld(int rank, const absl::Status& reason);
// True in a process that is in AbortWorld.
bool AbortIsUnderWay();

}  // namespace torii::comm
