#include "base/config_rules.h"

#include "absl/strings/str_join.h"
#include "base/exit_code.h"

namespace torii {

std::string ConfigRules::PathOf(absl::string_view field) const {
  return absl::StrCat(path_, path_.empty() || field.empty() ? "" : ".", field);
}

ConfigRules ConfigRules::In(absl::string_view field) const { return {PathOf(field), broken_}; }

ConfigRules ConfigRules::In(absl::string_view field, int index) const {
  return {absl::StrCat(PathOf(field), "[", index, "]"), broken_};
}

void ConfigRules::Break(absl::string_view field, std::string what) const {
  broken_->push_back({PathOf(field), std::move(what)});
}

void ConfigRules::Require(bool holds, absl::string_view field, absl::string_view what) const {
  if (!holds) Break(field, std::string(what));
}

absl::Status ConfigRules::status() const {
  std::vector<std::string> lines;
  for (const BrokenRule& rule : *broken_) lines.push_back(rule.Text());
  return BrokenRulesError(lines);
}

absl::Status BrokenRulesError(const std::vector<std::string>& lines) {
  if (lines.empty()) return absl::OkStatus();
  if (lines.size() == 1) return ConfigError(lines[0]);
  return ConfigError(absl::StrCat("the configuration breaks ", lines.size(), " rules\n  ",
                                  absl::StrJoin(lines, "\n  ")));
}

}  // namespace torii
