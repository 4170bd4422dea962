// The thread that looks at the unfinished calls of all NCCL communicators of this process. Nobody
// else can: a rank whose device waits for a lost peer waits for its device.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "comm/nccl/nccl_world.h"

namespace torii::comm {

struct WatchdogOptions {
  // Between two looks.
  std::chrono::milliseconds interval = std::chrono::milliseconds(50);
  // After an alarm the ranks of this process have so long to leave their communicators; aborts have
  // so long to return.
  std::chrono::milliseconds grace = std::chrono::seconds(2);
  // Ends the process at once: _exit. Tests have another one.
  std::function<void(int code)> exit = {};
};

// An error of NCCL or of the device, or a call that is older than the deadline, is an alarm: one
// line in the log for each unfinished call (call, sequence number, ranks), the end of the world on
// this process with kPeerLost, Abort of the hosts' communicators. A process that still has
// communicators after the grace, because its device hangs, is ended with exit code 76; so is one
// where an abort for another reason does not return, with the exit code of that reason.
class Watchdog {
 public:
  explicit Watchdog(std::shared_ptr<NcclWorld> world, WatchdogOptions options = {});
  // Ends the watch. After the ranks have left.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void Watch();
  void Alarm(const absl::Status& reason);
  void ExitAfterGrace(int code);
  // False: `flag`, with mutex_ held when it was set, has ended the sleep.
  bool Sleep(std::chrono::milliseconds time, const bool& flag);
  void Set(bool& flag);

  const std::shared_ptr<NcclWorld> world_;
  const WatchdogOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;   // nothing is watched any more
  bool all_over_ = false;  // and the watching thread has ended, so that nothing hangs
  std::atomic<bool> alarmed_ = false;
  std::thread last_resort_;  // started by watch_
  std::thread watch_;
};

}  // namespace torii::comm
