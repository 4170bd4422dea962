#include "comm/nccl/watchdog.h"

#include <cstdlib>
#include <utility>

#include "base/exit_code.h"
#include "base/log.h"

namespace torii::comm {
namespace {

using std::chrono::steady_clock;

WatchdogOptions WithExit(WatchdogOptions options) {
  if (options.exit == nullptr) options.exit = [](int code) { std::_Exit(code); };
  return options;
}

}  // namespace

Watchdog::Watchdog(std::shared_ptr<NcclWorld> world, WatchdogOptions options)
    : world_(std::move(world)),
      options_(WithExit(std::move(options))),
      watch_([this, rank = LogRank()] {
        SetLogRank(rank);
        Watch();
      }) {}

Watchdog::~Watchdog() {
  Set(stopped_);
  watch_.join();  // may hang in an abort, which the last resort ends
  Set(all_over_);
  if (last_resort_.joinable()) last_resort_.join();
}

bool Watchdog::Sleep(std::chrono::milliseconds time, const bool& flag) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [&] { return flag; });
}

void Watchdog::Set(bool& flag) {
  {
    const std::lock_guard lock(mutex_);
    flag = true;
  }
  changed_.notify_all();
}

void Watchdog::Watch() {
  while (Sleep(options_.interval, stopped_)) {
    absl::Status fault;
    if (!world_->ended()) fault = world_->Look(steady_clock::now());
    if (fault.ok() && !world_->ended()) continue;
    // The world ends here or has ended by another thread.
    alarmed_ = !fault.ok() && !world_->ended();
    const int code = static_cast<int>(ExitCodeOf(alarmed_ ? fault : world_->reason()));
    last_resort_ = std::thread([this, code, rank = LogRank()] {
      SetLogRank(rank);
      ExitAfterGrace(code);
    });
    if (alarmed_) Alarm(fault);
    return;
  }
}

void Watchdog::Alarm(const absl::Status& reason) {
  TORII_ERROR("watchdog: ", std::string(reason.message()));
  for (const std::string& line : world_->Flight(steady_clock::now())) {
    TORII_ERROR("flight: ", line);
  }
  const absl::Status counts = world_->End(reason);
  world_->AbortHosts(counts);
}

void Watchdog::ExitAfterGrace(int code) {
  if (!Sleep(options_.grace, all_over_)) return;
  const bool left = world_->channels() == 0;
  if (world_->aborting() == 0 && (!alarmed_ || left)) return;
  TORII_ERROR("watchdog: the device does not come back; the process ends with exit code ", code);
  options_.exit(code);
}

}  // namespace torii::comm
