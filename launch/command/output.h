// Standard output: what a command was asked for. Messages to people while it works go to the log.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace torii::launch {

// Writes and flushes; kIo if that fails (a full disk, a closed pipe).
absl::Status Print(const std::string& text);

}  // namespace torii::launch
