#include "sharding/table_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "base/exit_code.h"

namespace torii::sharding {

void Validate(const TableConfig& config, const ConfigRules& rules) {
  const auto not_negative = [&rules](const char* field, double value) {
    rules.Require(std::isfinite(value) && value >= 0, field, value, "at least 0");
  };
  const auto fraction = [&rules](const char* field, double value) {
    rules.Require(value >= 0 && value < 1, field, value, "in [0, 1)");
  };
  rules.Require(config.learning_rate() > 0 && std::isfinite(config.learning_rate()),
                "learning_rate", config.learning_rate(), "above 0");
  not_negative("epsilon", config.epsilon());
  fraction("beta1", config.beta1());
  fraction("beta2", config.beta2());
  not_negative("l2", config.l2());
  rules.Require(
      config.weight_decay() == 0, "weight_decay",
      absl::StrCat("is not read any more; for the same training write l2: ",
                   2 * config.weight_decay(), " instead of weight_decay: ", config.weight_decay()));
  not_negative("initial_accumulator", config.initial_accumulator());
  not_negative("init_stddev", config.init_stddev());
}

void Validate(const TableConfig& defaults, std::span<const TableConfig> overrides,
              const ConfigRules& root) {
  const ConfigRules tables = root.In("tables");
  Validate(defaults, tables);
  tables.Require(defaults.name().empty(), "name",
                 absl::StrCat("must not be set, because `tables` has the defaults of all tables; "
                              "write table { name: '",
                              defaults.name(), "' ... } for one"));
  std::set<std::string> names;
  for (size_t i = 0; i < overrides.size(); ++i) {
    const TableConfig& entry = overrides[i];
    const ConfigRules table = root.In("table", static_cast<int>(i));
    table.Require(!entry.name().empty(), "name", "is needed: the table that the entry is about");
    table.Require(entry.name().empty() || names.insert(entry.name()).second, "name",
                  absl::StrCat("'", entry.name(), "' is taken by an entry before"));
    Validate(WithDefaults(entry, defaults), table);
  }
}

TableConfig WithDefaults(const TableConfig& entry, const TableConfig& defaults) {
  TableConfig config = defaults;
  config.MergeFrom(entry);
  return config;
}

absl::StatusOr<std::vector<TableConfig>> ConfigsOf(std::span<const std::string> names,
                                                   const TableConfig& defaults,
                                                   std::span<const TableConfig> overrides) {
  std::vector<TableConfig> configs(names.size(), defaults);
  for (const TableConfig& entry : overrides) {
    const auto found = std::find(names.begin(), names.end(), entry.name());
    if (found == names.end()) {
      const std::vector<std::string> known(names.begin(), names.end());
      return ConfigError(
          absl::StrCat("table { name: '", entry.name(), "' }: the model has no such table",
                       DidYouMean(entry.name(), known), "; it has ", absl::StrJoin(known, ", ")));
    }
    configs[static_cast<size_t>(found - names.begin())] = WithDefaults(entry, defaults);
  }
  return configs;
}

}  // namespace torii::sharding
