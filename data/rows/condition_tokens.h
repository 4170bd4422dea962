// The words of a condition (condition.h), one after the other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace torii::data {

struct ConditionToken {
  enum class Kind { kName, kQuotedName, kText, kNumber, kSymbol, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;  // without quotes
  double number = 0;
  int64_t place = 1;  // in characters from 1

  // Is it this word of the grammar (in small letters) or this symbol?
  bool Is(std::string_view word) const;
  // As messages show it.
  std::string Shown() const;
};

// The last token is kEnd. kConfig for a quote that is not closed, a character that no token begins
// with, or a number that cannot be compared exactly.
absl::StatusOr<std::vector<ConditionToken>> TokensOf(const std::string& text);

// kConfig "character 7: <what>".
absl::Status ConditionError(int64_t place, const std::string& what);

}  // namespace torii::data
