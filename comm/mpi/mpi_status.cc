#include "comm/mpi/mpi_status.h"

#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"

namespace torii::comm {

absl::Status MpiStatus(int code, const char* call) {
  if (code == MPI_SUCCESS) {
    return absl::OkStatus();
  }
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) {
    length = 0;
  }
  return PeerLostError(absl::StrCat("MPI error ", code, " (",
                                    std::string(text.data(), static_cast<size_t>(length)), ") in ",
                                    call));
}

}  // namespace torii::comm
