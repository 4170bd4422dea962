// The kinds of failure a user can meet. Each is an absl::Status that carries the exit code with
// which the program ends (docs/errors.md); code that returns one never prints it.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace torii {

enum class ExitCode {
  kOk = 0,
  kUsage = 64,         // bad command line
  kData = 65,          // bad data: the message names file:row:column
  kNoInput = 66,       // an input file is missing
  kInternal = 70,      // a bug in Torii
  kCannotCreate = 73,  // an output cannot be created, or the run folder is locked
  kIo = 74,            // I/O error or disk full
  kInterrupted = 75,   // stopped by a signal, checkpoint good: run me again
  kPeerLost = 76,      // a rank died or hangs: run me again
  kConfig = 78,        // bad configuration
  kDiverged = 79,      // NaN or infinity in the numbers
};

absl::Status UsageError(std::string message);
absl::Status DataError(std::string message);
absl::Status NoInputError(std::string message);
absl::Status InternalError(std::string message);
absl::Status CannotCreateError(std::string message);
absl::Status IoError(std::string message);
absl::Status InterruptedError(std::string message);
absl::Status PeerLostError(std::string message);
absl::Status ConfigError(std::string message);
absl::Status DivergedError(std::string message);

// The code with which a program that ends with `status` exits; kInternal for a status made
// elsewhere.
ExitCode ExitCodeOf(const absl::Status& status);

// The same failure with `context` and ": " before its message.
absl::Status Annotate(const absl::Status& status, const std::string& context);

}  // namespace torii
