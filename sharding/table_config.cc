#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sharding/table_group.h"

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
  require(not_negative(config.weight_decay()), "weight_decay", config.weight_decay(), "at least 0");
  require(not_negative(config.initial_accumulator()), "initial_accumulator",
          config.initial_accumulator(), "at least 0");
  require(not_negative(config.init_stddev()), "init_stddev", config.init_stddev(), "at least 0");
  return errors;
}

}  // namespace torii::sharding
