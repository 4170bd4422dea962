#include <set>

#include "absl/strings/str_cat.h"
#include "eval/rank_targets.h"

namespace torii::eval {

void Validate(const EvalConfig& config, const ConfigRules& rules) {
  std::set<int> seen;
  for (int i = 0; i < config.k_size(); ++i) {
    const std::string field = absl::StrCat("k[", i, "]");
    rules.Require(config.k(i) >= 1, field, config.k(i), "at least 1");
    rules.Require(seen.insert(config.k(i)).second, field,
                  absl::StrCat(config.k(i), " is listed twice: leave one out"));
  }
  rules.Require(config.batch_users() >= 1, "batch_users", config.batch_users(), "at least 1");
}

}  // namespace torii::eval
