// A lease: of all processes that want to write in a folder, on any number of machines, one may.
//
// Two files tell who has it:
//   PREFIXlock   the operating system's lock (FileLock). Processes under one kernel, whatever their
//                container, and machines whose file system shares locks, see it at once.
//   PREFIXlease  who has it (holder.h), rewritten with a higher beat while the holder lives. It
//                decides between machines whose file system does not share locks: a lease whose beat
//                has not changed for `stale_after` is free.
// A holder that others took for dead finds another nonce in the lease, and stops before it writes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/files/holder.h"

namespace torii {

struct LeaseOptions {
  // What has the lease, for messages: "the run folder runs/first".
  std::string what;
  // What to do if somebody else has it, for messages: "wait for it, or use another --run-dir".
  std::string remedy;
  // Wait for another holder instead of failing.
  bool waits = false;
  // The user knows that a holder on another machine is gone: do not wait for its beat.
  bool take = false;
  std::chrono::milliseconds beat_every = std::chrono::seconds(10);
  std::chrono::milliseconds stale_after = std::chrono::seconds(60);
  // Between two looks at a lease that somebody else has.
  std::chrono::milliseconds look_every = std::chrono::milliseconds(200);
};

class Lease {
 public:
  // The folder of `prefix` is there. kCannotCreate: somebody else has the lease; the message names
  // the holder and the remedy. Says it in the log if it waits, or takes over from a dead holder.
  static absl::StatusOr<std::unique_ptr<Lease>> Take(FileSystem& files, const std::string& prefix,
                                                     const LeaseOptions& options);
  // Gives it back: both files go.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // kCannotCreate if another process has taken the lease over. To be asked before what is written
  // gets its final name. Any thread.
  absl::Status CheckHeld();

 private:
  Lease(FileSystem& files, const std::string& prefix, LeaseOptions options);
  absl::Status Write();
  void Beat();

  FileSystem& files_;
  const std::string path_;  // of the lease file
  const LeaseOptions options_;
  std::unique_ptr<FileLock> lock_;  // null where the file system has no locks
  std::mutex mutex_;                // of what follows, and of the lease file
  Holder me_;
  bool ends_ = false;
  std::condition_variable ending_;
  std::thread beating_;
};

}  // namespace torii
