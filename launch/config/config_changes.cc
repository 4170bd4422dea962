#include "launch/config/config_changes.h"

#include <set>

#include "base/status_macros.h"
#include "launch/config/load_config.h"
#include "sharding/table_config.h"

namespace torii::launch {
namespace {

// The configuration with an entry of `table` for each name, in their order.
absl::StatusOr<RunConfig> WithEntries(const RunConfig& config,
                                      const std::vector<std::string>& names) {
  const std::vector<sharding::TableConfig> entries(config.table().begin(), config.table().end());
  TORII_ASSIGN_OR_RETURN(const std::vector<sharding::TableConfig> configs,
                         sharding::ConfigsOf(names, config.tables(), entries));
  RunConfig result = config;
  result.clear_table();
  for (size_t t = 0; t < names.size(); ++t) {
    sharding::TableConfig* entry = result.add_table();
    *entry = configs[t];
    entry->set_name(names[t]);
  }
  return result;
}

}  // namespace

absl::StatusOr<std::vector<FieldChange>> ChangesSince(const std::string& theirs,
                                                      const RunConfig& ours) {
  RunConfig before;
  TORII_RETURN_IF_ERROR(ParseConfigText(theirs, "its config", &before));
  FillDefaults(&before);
  std::set<std::string> named;
  for (const RunConfig* config : {static_cast<const RunConfig*>(&before), &ours}) {
    for (const sharding::TableConfig& entry : config->table()) named.insert(entry.name());
  }
  const std::vector<std::string> names(named.begin(), named.end());
  TORII_ASSIGN_OR_RETURN(before, WithEntries(before, names));
  TORII_ASSIGN_OR_RETURN(const RunConfig after, WithEntries(ours, names));
  return CompareFields(before, after);
}

}  // namespace torii::launch
