#include "sharding/table_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "base/exit_code.h"

namespace torii::sharding {

std::vector<std::string> Validate(const TableConfig& config) {
  std::vector<std::string> errors;
  const auto require = [&errors](bool holds, const char* field, double value, const char* rule) {
    if (!holds) errors.push_back(absl::StrCat(field, " is ", value, ": it must be ", rule));
  };
  const auto not_negative = [](double value) { return std::isfinite(value) && value >= 0; };
  require(config.learning_rate() > 0 && std::isfinite(config.learning_rate()), "learning_rate",
          config.learning_rate(), "above 0");
  require(not_negative(config.epsilon()), "epsilon", config.epsilon(), "at least 0");
  require(config.beta1() >= 0 && config.beta1() < 1, "beta1", config.beta1(), "in [0, 1)");
  require(config.beta2() >= 0 && config.beta2() < 1, "beta2", config.beta2(), "in [0, 1)");
  require(not_negative(config.l2()), "l2", config.l2(), "at least 0");
  if (config.weight_decay() != 0) {
    errors.push_back(absl::StrCat(
        "weight_decay is not read any more: for the same training write l2: ",
        2 * config.weight_decay(), " instead of weight_decay: ", config.weight_decay()));
  }
  require(not_negative(config.initial_accumulator()), "initial_accumulator",
          config.initial_accumulator(), "at least 0");
  require(not_negative(config.init_stddev()), "init_stddev", config.init_stddev(), "at least 0");
  return errors;
}

std::vector<std::string> Validate(const TableConfig& defaults,
                                  std::span<const TableConfig> overrides) {
  std::vector<std::string> errors;
  for (const std::string& rule : Validate(defaults)) {
    errors.push_back(absl::StrCat("tables.", rule));
  }
  if (!defaults.name().empty()) {
    errors.push_back(absl::StrCat("tables.name is '", defaults.name(),
                                  "': these are the defaults of all tables; write table { name: '",
                                  defaults.name(), "' ... } for one"));
  }
  std::set<std::string> names;
  for (size_t i = 0; i < overrides.size(); ++i) {
    const TableConfig& entry = overrides[i];
    const std::string place = absl::StrCat("table[", i, "].");
    if (entry.name().empty()) {
      errors.push_back(absl::StrCat(place, "name is missing: which table is this about?"));
    } else if (!names.insert(entry.name()).second) {
      errors.push_back(absl::StrCat(place, "name is '", entry.name(), "', as of an entry before"));
    }
    for (const std::string& rule : Validate(WithDefaults(entry, defaults))) {
      errors.push_back(absl::StrCat(place, rule));
    }
  }
  return errors;
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
