// Standard output carries the result that the user asked for; messages about the work go to the
// log.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace torii::launch {

// Writes and flushes; kIo if that fails (a full disk, a closed pipe).
absl::Status Print(const std::string& text);

}  // namespace torii::launch
