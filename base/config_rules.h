// Rules about configurations in one form: the full path of a field, and what must hold for it. The
// fields' places in files are added by whoever read the files.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace torii {

struct BrokenRule {
  std::string field;  // its path from the root: "model.user.trunk.mlp.hidden[1]"
  std::string what;   // "must be at least 1, not 0"
  std::string Text() const { return absl::StrCat(field, ": ", what); }
};

// Collects the broken rules of one message of the configuration and, through In(), of the messages
// inside it. Copies collect into the same list.
class ConfigRules {
 public:
  // `path`: of the message, "" for the root of the configuration.
  explicit ConfigRules(std::string path = "")
      : path_(std::move(path)), broken_(std::make_shared<std::vector<BrokenRule>>()) {}

  // The rules of a message that is a field of this one, or an element of a list of messages.
  ConfigRules In(absl::string_view field) const;
  ConfigRules In(absl::string_view field, int index) const;

  // `field` of this message breaks a rule; "" means the message as a whole.
  void Break(absl::string_view field, std::string what) const;
  // As Break, unless `holds`.
  void Require(bool holds, absl::string_view field, absl::string_view what) const;
  // Unless `holds`: "must be <must>, not <value>".
  template <typename Value>
  void Require(bool holds, absl::string_view field, const Value& value,
               absl::string_view must) const {
    if (!holds) Break(field, absl::StrCat("must be ", must, ", not ", value));
  }

  const std::vector<BrokenRule>& broken() const { return *broken_; }
  // kConfig with all broken rules, one a line; OK if there is none.
  absl::Status status() const;

 private:
  ConfigRules(std::string path, std::shared_ptr<std::vector<BrokenRule>> broken)
      : path_(std::move(path)), broken_(std::move(broken)) {}
  std::string PathOf(absl::string_view field) const;

  std::string path_;
  std::shared_ptr<std::vector<BrokenRule>> broken_;
};

// kConfig with `lines`: one alone, several under a line that counts them. OK for none.
absl::Status BrokenRulesError(const std::vector<std::string>& lines);

}  // namespace torii
