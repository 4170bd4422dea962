#include "launch/command/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"

namespace torii::launch {

absl::Status Print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return absl::OkStatus();
  }
  return IoError(absl::StrCat("write to standard output: ", std::strerror(errno)));
}

}  // namespace torii::launch
