// Every rule that a configuration breaks, in one report: those of each folder's own message and
// those between messages. Looks at the configuration alone, never at files.
#pragma once

#include "absl/status/status.h"
#include "base/config_rules.h"
#include "launch/config/config_locations.h"
#include "launch/run.pb.h"

namespace torii::launch {

// Collects the rules that `config` breaks. Its defaults are filled.
void Validate(const RunConfig& config, const ConfigRules& rules);

// kConfig with all broken rules, one a line, each with the place where its field was given:
// "my.txtpb:12:5: model.dim: must be at least 1, not 0". A default has no place.
absl::Status ValidateConfig(const RunConfig& config, const ConfigLocations& locations = {});

}  // namespace torii::launch
