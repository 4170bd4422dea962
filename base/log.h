// Logging: one line a message, "2026-03-01T12:00:00.123Z I rank=3 message". Rank 0 writes to
// standard error and, once a run folder exists, to its file; other ranks write to their own file
// (and to standard error only for warnings and errors). Thread-safe. Names avoid LOG and CHECK,
// which LibTorch defines.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"

namespace torii {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void Log(LogLevel level, const std::string& message);

// The rank this thread speaks for (ranks may be threads of one process). 0 until set.
void SetLogRank(int rank);
int LogRank();

// From now on messages of `rank` are also appended to `path`. An empty path ends that.
void SetLogFile(int rank, const std::string& path);

// Messages below this level go nowhere. Default kInfo.
void SetLogLevel(LogLevel level);

// The progress line: on a terminal it is redrawn in place; elsewhere it is an ordinary info line.
// `done` ends it.
void LogProgress(const std::string& line, bool done);
bool StderrIsTerminal();

}  // namespace torii

#define TORII_DEBUG(...) ::torii::Log(::torii::LogLevel::kDebug, ::absl::StrCat(__VA_ARGS__))
#define TORII_INFO(...) ::torii::Log(::torii::LogLevel::kInfo, ::absl::StrCat(__VA_ARGS__))
#define TORII_WARNING(...) ::torii::Log(::torii::LogLevel::kWarning, ::absl::StrCat(__VA_ARGS__))
#define TORII_ERROR(...) ::torii::Log(::torii::LogLevel::kError, ::absl::StrCat(__VA_ARGS__))
