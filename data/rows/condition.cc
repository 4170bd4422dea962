#include "data/rows/condition.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "data/rows/condition_tokens.h"

namespace torii::data {
namespace {

using Kind = Condition::Kind;
using TokenKind = ConditionToken::Kind;

constexpr int kDeepest = 100;
constexpr std::array<std::string_view, 8> kWords = {"and", "or",   "not",  "in",
                                                    "is",  "null", "true", "false"};

struct Comparison {
  std::string_view symbol;
  Kind kind;
};
constexpr std::array<Comparison, 8> kComparisons = {{{"=", Kind::kEqual},
                                                     {"==", Kind::kEqual},
                                                     {"!=", Kind::kNotEqual},
                                                     {"<>", Kind::kNotEqual},
                                                     {"<", Kind::kLess},
                                                     {"<=", Kind::kLessEqual},
                                                     {">", Kind::kGreater},
                                                     {">=", Kind::kGreaterEqual}}};

Condition Join(Kind kind, Condition a, Condition b) {
  Condition joined;
  joined.kind = kind;
  joined.parts.push_back(std::move(a));
  joined.parts.push_back(std::move(b));
  return joined;
}

Condition Not(Condition condition) {
  Condition negated;
  negated.kind = Kind::kNot;
  negated.parts.push_back(std::move(condition));
  return negated;
}

// By recursive descent: one function for each line of the grammar.
class Parser {
 public:
  explicit Parser(std::vector<ConditionToken> tokens) : tokens_(std::move(tokens)) {}

  absl::StatusOr<Condition> Run() {
    TORII_ASSIGN_OR_RETURN(Condition condition, Any());
    if (Now().kind != TokenKind::kEnd) {
      return Wrong("\"and\", \"or\" or the end is needed");
    }
    return condition;
  }

 private:
  const ConditionToken& Now() const { return tokens_[at_]; }
  bool Take(std::string_view word) {
    const bool taken = Now().Is(word);
    at_ += taken ? 1 : 0;
    return taken;
  }
  absl::Status Wrong(const std::string& needed) const {
    return ConditionError(Now().place, absl::StrCat(needed, ", not ", Now().Shown()));
  }

  absl::StatusOr<Condition> Any() {
    TORII_ASSIGN_OR_RETURN(Condition any, All());
    while (Take("or")) {
      TORII_ASSIGN_OR_RETURN(Condition next, All());
      any = Join(Kind::kOr, std::move(any), std::move(next));
    }
    return any;
  }

  absl::StatusOr<Condition> All() {
    TORII_ASSIGN_OR_RETURN(Condition all, One());
    while (Take("and")) {
      TORII_ASSIGN_OR_RETURN(Condition next, One());
      all = Join(Kind::kAnd, std::move(all), std::move(next));
    }
    return all;
  }

  absl::StatusOr<Condition> One() {
    if (depth_ >= kDeepest) {
      return ConditionError(Now().place, "the condition is nested too deeply");
    }
    if (Take("not")) {
      ++depth_;
      TORII_ASSIGN_OR_RETURN(Condition negated, One());
      --depth_;
      return Not(std::move(negated));
    }
    if (!Now().Is("(")) {
      return Test();
    }
    const int64_t open = Now().place;
    ++at_;
    ++depth_;
    TORII_ASSIGN_OR_RETURN(Condition inner, Any());
    --depth_;
    if (!Take(")")) {
      return Wrong(absl::StrCat("\"and\", \"or\" or the \")\" of character ", open, " is needed"));
    }
    return inner;
  }

  absl::StatusOr<Condition> Test() {
    Condition test;
    TORII_ASSIGN_OR_RETURN(test.column, ColumnName(&test.place));
    if (Take("is")) {
      test.kind = Kind::kIsNull;
      const bool negated = Take("not");
      if (!Take("null")) {
        return Wrong("\"null\" is needed");
      }
      return negated ? Not(std::move(test)) : std::move(test);
    }
    const bool negated = Take("not");
    if (Take("in")) {
      test.kind = Kind::kIn;
      TORII_ASSIGN_OR_RETURN(test.values, List());
      return negated ? Not(std::move(test)) : std::move(test);
    }
    if (negated) {
      return Wrong("\"in\" is needed");
    }
    for (const Comparison& comparison : kComparisons) {
      if (Take(comparison.symbol)) {
        test.kind = comparison.kind;
        TORII_ASSIGN_OR_RETURN(test.values.emplace_back(), Value());
        return test;
      }
    }
    return Wrong(absl::StrCat("after the column \"", test.column,
                              "\" =, !=, <, <=, >, >=, \"in\" or \"is\" is needed"));
  }

  absl::StatusOr<std::string> ColumnName(int64_t* place) {
    const ConditionToken& token = Now();
    bool is_word = false;
    for (const std::string_view word : kWords) {
      is_word = is_word || token.Is(word);
    }
    if ((token.kind != TokenKind::kName || is_word) && token.kind != TokenKind::kQuotedName) {
      return Wrong("the name of a column is needed (in backticks if it is a word of the grammar)");
    }
    *place = token.place;
    ++at_;
    return token.text;
  }

  absl::StatusOr<ConditionValue> Value() {
    const ConditionToken& token = Now();
    if (token.Is("null")) {
      return Wrong("a value is needed (what is missing is found by \"is null\")");
    }
    std::optional<ConditionValue> value;
    if (token.kind == TokenKind::kNumber) {
      value = token.number;
    } else if (token.kind == TokenKind::kText) {
      value = token.text;
    } else if (token.Is("true") || token.Is("false")) {
      value = token.Is("true") ? 1.0 : 0.0;
    }
    if (!value.has_value()) {
      return Wrong("a number, a text in quotes, true or false is needed");
    }
    ++at_;
    return *std::move(value);
  }

  absl::StatusOr<std::vector<ConditionValue>> List() {
    if (!Take("(")) {
      return Wrong("\"(\" is needed");
    }
    std::vector<ConditionValue> values;
    do {
      const int64_t place = Now().place;
      TORII_ASSIGN_OR_RETURN(values.emplace_back(), Value());
      if (values.back().index() != values.front().index()) {
        return ConditionError(place, "a list has either numbers or texts");
      }
    } while (Take(","));
    if (!Take(")")) {
      return Wrong("\",\" or \")\" is needed");
    }
    return values;
  }

  const std::vector<ConditionToken> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<Condition> ParseCondition(const std::string& text) {
  TORII_ASSIGN_OR_RETURN(std::vector<ConditionToken> tokens, TokensOf(text));
  return Parser(std::move(tokens)).Run();
}

}  // namespace torii::data
