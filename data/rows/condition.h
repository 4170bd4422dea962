// The grammar of conditions on rows: "event != 'view' and (price > 0 or price is null)".
//
//   condition  = all { "or" all }
//   all        = one { "and" one }
//   one        = "not" one | "(" condition ")" | test
//   test       = column ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
//              | column [ "not" ] "in" "(" value { "," value } ")"
//              | column "is" [ "not" ] "null"
//   column     = a name of letters, digits, "_", "." and "$", or any name in backticks
//   value      = a number, a text in single or double quotes (a quote in it is written twice),
//                "true" or "false"
//
// Words of the grammar may be written in capitals.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace torii::data {

// A number (true is 1, false is 0) or a text.
using ConditionValue = std::variant<double, std::string>;

// A condition as a tree.
struct Condition {
  enum class Kind {
    kAnd,
    kOr,
    kNot,
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kIn,
    kIsNull
  };
  Kind kind = Kind::kAnd;
  std::vector<Condition> parts;  // of and and or: two; of not: one
  // Of a test:
  std::string column;
  std::vector<ConditionValue> values;  // one; of kIn one or more of the same kind; of kIsNull none
  int64_t place = 1;                   // of the column in the text, in characters from 1
};

// kConfig "character 7: ..." if the text does not follow the grammar.
absl::StatusOr<Condition> ParseCondition(const std::string& text);

}  // namespace torii::data
