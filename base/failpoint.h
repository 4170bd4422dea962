// Failpoints: named places where a test or an operator can inject a fault.
//
//   TORII_FAILPOINT("checkpoint.manifest.before_rename");  // where Status or StatusOr is returned
//
// ArmFailpoints arms them from a text; the program passes it the variable TORII_FAIL:
//
//   TORII_FAIL="name[@rank][#hit]=action[,...]"
//   action: kill | stop | sleep:SECONDS | eio | enospc | error
//
// For example TORII_FAIL="trainer.step@1#5=kill": rank 1 kills itself at its fifth step. While none
// is armed, a failpoint costs one relaxed load and a predictable branch.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "base/status_macros.h"

namespace torii {

// Replaces what is armed by `spec` ("" disarms). An unknown action or a malformed spec is kConfig.
absl::Status ArmFailpoints(const std::string& spec);
// How often each failpoint was passed since counting began (only while armed or counting).
std::map<std::string, int64_t> FailpointHits();
// Counts passes although nothing is armed, for the test that every failpoint is reached.
void CountFailpoints(bool on);

namespace failpoint_internal {
extern std::atomic<bool> active;
absl::Status Hit(const char* name);
}  // namespace failpoint_internal
}  // namespace torii

#define TORII_FAILPOINT(name)                                                  \
  do {                                                                         \
    if (::torii::failpoint_internal::active.load(std::memory_order_relaxed)) { \
      TORII_RETURN_IF_ERROR(::torii::failpoint_internal::Hit(name));           \
    }                                                                          \
  } while (false)
