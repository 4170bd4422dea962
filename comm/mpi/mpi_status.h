// Every MPI call of this folder goes through TORII_MPI_RETURN_IF_ERROR, which turns a failure into
// a kPeerLost status with the call's text and the library's explanation.
#pragma once

#include <mpi.h>

#include "absl/status/status.h"
#include "base/status_macros.h"

namespace torii::comm {

// OK for MPI_SUCCESS. `call` is the text of the call.
absl::Status MpiStatus(int code, const char* call);

}  // namespace torii::comm

#define TORII_MPI_STATUS(call) ::torii::comm::MpiStatus((call), #call)
#define TORII_MPI_RETURN_IF_ERROR(call) TORII_RETURN_IF_ERROR(TORII_MPI_STATUS(call))
