// The configuration of tables: defaults for all, and entries that override single tables.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/config_rules.h"
#include "sharding/sharding.pb.h"

namespace torii::sharding {

// Collects the rules that the numbers of one table break. `rules` are those of the message itself.
void Validate(const TableConfig& config, const ConfigRules& rules);
// Collects the rules that `tables`, the defaults, and the entries of `table` break. `root`: the
// rules of the message that has both. Whether the tables exist is not known here.
void Validate(const TableConfig& defaults, std::span<const TableConfig> overrides,
              const ConfigRules& root);

// `entry` with what it leaves out taken from `defaults`.
TableConfig WithDefaults(const TableConfig& entry, const TableConfig& defaults);

// The configuration of each table of `names`, in their order: the defaults, overridden by the entry
// of that name if there is one. An entry whose name is not in `names` is kConfig, which lists
// `names`.
absl::StatusOr<std::vector<TableConfig>> ConfigsOf(std::span<const std::string> names,
                                                   const TableConfig& defaults,
                                                   std::span<const TableConfig> overrides);

}  // namespace torii::sharding
