// How the configuration of a checkpoint differs from the one at hand.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/field_changes.h"
#include "launch/run.pb.h"

namespace torii::launch {

// theirs: protobuf text. ours: resolved. Fields in their order. Entries of `table` are compared by
// the names of their tables; one that only one side has is compared with the other side's `tables`.
absl::StatusOr<std::vector<FieldChange>> ChangesSince(const std::string& theirs,
                                                      const RunConfig& ours);

}  // namespace torii::launch
