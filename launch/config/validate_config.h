// Every rule that a configuration breaks, in one report: those of each folder's own message and
// those between messages. Looks at the configuration alone, never at files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "launch/run.pb.h"

namespace torii::launch {

// "model.temperature: 0 is not > 0", ...; empty if all is well. `config` has its defaults filled.
std::vector<std::string> BrokenRules(const RunConfig& config);

// kConfig with all broken rules, one a line.
absl::Status ValidateConfig(const RunConfig& config);

}  // namespace torii::launch
