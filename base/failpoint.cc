#include "base/failpoint.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/exit_code.h"
#include "base/log.h"

namespace torii {
namespace {

enum class Action { kKill, kStop, kSleep, kIoError, kDiskFull, kError };

struct Fault {
  std::string name;
  std::optional<int> rank;     // every rank if absent
  std::optional<int64_t> hit;  // 1-based, counted per rank; every pass if absent
  Action action = Action::kError;
  double sleep_seconds = 0;
};

struct FailpointState {
  std::mutex mutex;
  std::vector<Fault> faults;
  bool counting = false;
  std::map<std::string, std::map<int, int64_t>> hits;  // by name, then by rank
};

FailpointState& State() {
  static FailpointState* const state = new FailpointState;
  return *state;
}

absl::Status Malformed(const std::string& entry, const std::string& reason) {
  return ConfigError(
      absl::StrCat("TORII_FAIL: '", entry, "': ", reason,
                   "; expected name[@rank][#hit]=kill|stop|sleep:SECONDS|eio|enospc|error"));
}

absl::Status ParseAction(const std::string& entry, const std::string& text, Fault& fault) {
  static const auto* const kActions = new std::map<std::string, Action>{
      {"kill", Action::kKill},   {"stop", Action::kStop},       {"eio", Action::kIoError},
      {"error", Action::kError}, {"enospc", Action::kDiskFull},
  };
  if (text.rfind("sleep:", 0) == 0) {
    fault.action = Action::kSleep;
    const std::string seconds = text.substr(6);
    // Written so that NaN fails as well.
    if (!absl::SimpleAtod(seconds, &fault.sleep_seconds) ||
        !(fault.sleep_seconds >= 0 && fault.sleep_seconds <= 1e6)) {
      return Malformed(entry, absl::StrCat("'", seconds, "' is not a number of seconds"));
    }
    return absl::OkStatus();
  }
  const auto found = kActions->find(text);
  if (found == kActions->end()) {
    return Malformed(entry, absl::StrCat("unknown action '", text, "'"));
  }
  fault.action = found->second;
  return absl::OkStatus();
}

absl::StatusOr<Fault> ParseFault(const std::string& entry) {
  Fault fault;
  const size_t equals = entry.find('=');
  if (equals == std::string::npos) return Malformed(entry, "there is no '='");
  TORII_RETURN_IF_ERROR(ParseAction(entry, entry.substr(equals + 1), fault));
  std::string where = entry.substr(0, equals);
  if (const size_t hash = where.find('#'); hash != std::string::npos) {
    const std::string text = where.substr(hash + 1);
    int64_t hit = 0;
    if (!absl::SimpleAtoi(text, &hit) || hit < 1) {
      return Malformed(entry, absl::StrCat("hit '", text, "' is not a number from 1"));
    }
    fault.hit = hit;
    where.resize(hash);
  }
  if (const size_t at = where.find('@'); at != std::string::npos) {
    const std::string text = where.substr(at + 1);
    int rank = 0;
    if (!absl::SimpleAtoi(text, &rank) || rank < 0) {
      return Malformed(entry, absl::StrCat("rank '", text, "' is not a number from 0"));
    }
    fault.rank = rank;
    where.resize(at);
  }
  if (where.empty()) return Malformed(entry, "there is no name");
  fault.name = where;
  return fault;
}

absl::Status Inject(const Fault& fault, int64_t hit) {
  const std::string place = absl::StrCat("failpoint ", fault.name, ", pass ", hit);
  switch (fault.action) {
    case Action::kKill:
      TORII_WARNING(place, ": kills this process");
      ::kill(::getpid(), SIGKILL);
      break;
    case Action::kStop:
      TORII_WARNING(place, ": stops this process");
      ::kill(::getpid(), SIGSTOP);
      break;
    case Action::kSleep:
      TORII_WARNING(place, ": sleeps ", fault.sleep_seconds, " s");
      std::this_thread::sleep_for(std::chrono::duration<double>(fault.sleep_seconds));
      break;
    case Action::kIoError:
      return IoError(absl::StrCat(place, ": Input/output error (injected)"));
    case Action::kDiskFull:
      return IoError(absl::StrCat(place, ": disk full (injected)"));
    case Action::kError:
      return InternalError(absl::StrCat(place, ": error (injected)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ArmFailpoints(const std::string& spec) {
  std::vector<Fault> faults;
  if (!spec.empty()) {
    const std::vector<std::string> entries = absl::StrSplit(spec, ',');
    for (const std::string& entry : entries) {
      TORII_ASSIGN_OR_RETURN(Fault fault, ParseFault(entry));
      faults.push_back(std::move(fault));
    }
  }
  FailpointState& state = State();
  const std::lock_guard lock(state.mutex);
  state.faults = std::move(faults);
  state.hits.clear();
  failpoint_internal::active = !state.faults.empty() || state.counting;
  return absl::OkStatus();
}

std::map<std::string, int64_t> FailpointHits() {
  FailpointState& state = State();
  const std::lock_guard lock(state.mutex);
  std::map<std::string, int64_t> totals;
  for (const auto& [name, by_rank] : state.hits) {
    for (const auto& [rank, hits] : by_rank) totals[name] += hits;
  }
  return totals;
}

void CountFailpoints(bool on) {
  FailpointState& state = State();
  const std::lock_guard lock(state.mutex);
  if (on && !state.counting) state.hits.clear();
  state.counting = on;
  failpoint_internal::active = !state.faults.empty() || on;
}

namespace failpoint_internal {

std::atomic<bool> active{false};

absl::Status Hit(const char* name) {
  const int rank = LogRank();
  std::vector<Fault> due;
  int64_t hit = 0;
  {
    FailpointState& state = State();
    const std::lock_guard lock(state.mutex);
    hit = ++state.hits[name][rank];
    for (const Fault& fault : state.faults) {
      if (fault.name == name && fault.rank.value_or(rank) == rank &&
          fault.hit.value_or(hit) == hit) {
        due.push_back(fault);
      }
    }
  }
  // Outside the lock: a sleeping rank must not hold up the others.
  for (const Fault& fault : due) TORII_RETURN_IF_ERROR(Inject(fault, hit));
  return absl::OkStatus();
}

}  // namespace failpoint_internal
}  // namespace torii
