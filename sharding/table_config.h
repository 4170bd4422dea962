// The configuration of tables: defaults for all, and entries that override single tables.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sharding/sharding.pb.h"

namespace torii::sharding {

// Every violated rule of the numbers of a table, one message each.
std::vector<std::string> Validate(const TableConfig& config);
// The same of the defaults, which name no table ("tables.learning_rate is ..."), and of the
// entries, each of which names one ("table[0].name is ..."). Whether the tables exist is not known
// here.
std::vector<std::string> Validate(const TableConfig& defaults,
                                  std::span<const TableConfig> overrides);

// `entry` with what it leaves out taken from `defaults`.
TableConfig WithDefaults(const TableConfig& entry, const TableConfig& defaults);

// The configuration of each table of `names`, in their order: the defaults, or the entry of that
// name laid over them. An entry of a table that is not there is kConfig, with the tables there are.
absl::StatusOr<std::vector<TableConfig>> ConfigsOf(std::span<const std::string> names,
                                                   const TableConfig& defaults,
                                                   std::span<const TableConfig> overrides);

}  // namespace torii::sharding
