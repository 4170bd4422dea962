#include <set>

#include "absl/strings/str_cat.h"
#include "eval/rank_targets.h"

namespace torii::eval {

std::vector<std::string> Validate(const EvalConfig& config) {
  std::vector<std::string> errors;
  std::set<int> seen;
  for (const int k : config.k()) {
    if (k < 1) errors.push_back(absl::StrCat("eval.k: ", k, ": cut-offs start at 1"));
    if (!seen.insert(k).second) {
      errors.push_back(absl::StrCat("eval.k: ", k, " is listed twice: leave one out"));
    }
  }
  if (config.batch_users() < 1) {
    errors.push_back(
        absl::StrCat("eval.batch_users: ", config.batch_users(), ": must be at least 1"));
  }
  return errors;
}

}  // namespace torii::eval
