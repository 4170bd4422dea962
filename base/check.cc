#include "base/check.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/exit_code.h"

namespace torii {

void CheckFailed(const char* file, int line, const char* condition, const std::string& message) {
  const std::string text = absl::StrCat("torii: internal error: ", file, ":", line, ": ", condition,
                                        message.empty() ? "" : ": ", message, "\n");
  std::fflush(nullptr);
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
  // Not exit(): other threads still run, and destructors would meet the broken state.
  _exit(static_cast<int>(ExitCode::kInternal));
}

}  // namespace torii
