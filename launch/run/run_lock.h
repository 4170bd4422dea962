// Lets one job at a time use a run folder: a file with the host, process id and start of the
// holder.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace torii::launch {

struct LockHolder {
  std::string host;
  int pid = 0;
  // When the process started, in clock ticks since the host booted. Process ids are reused; the
  // pair (id, start) is not.
  std::string start_ticks;
};

class RunLock {
 public:
  // Takes the lock at `path`. The lock of a dead process of this host is taken over, with a line in
  // the log. Any other lock is kCannotCreate, with the name of its holder.
  static absl::StatusOr<std::unique_ptr<RunLock>> Take(const std::string& path);
  // Gives it back.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  explicit RunLock(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// "host pid ticks" and back; an unreadable text gives an empty host. Pure.
std::string FormatHolder(const LockHolder& holder);
LockHolder ParseHolder(const std::string& text);
LockHolder ThisProcess();
// True if `holder` is a process of this host that no longer runs.
bool IsStale(const LockHolder& holder);

}  // namespace torii::launch
