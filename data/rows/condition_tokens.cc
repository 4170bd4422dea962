#include "data/rows/condition_tokens.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

using Kind = ConditionToken::Kind;

// From here on not every integer has a double of its own.
constexpr double kExactIntegers = 9007199254740992.0;
// Longer ones first.
constexpr std::array<std::string_view, 11> kSymbols = {"==", "!=", "<>", "<=", ">=", "=",
                                                       "<",  ">",  "(",  ")",  ","};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Letters of other scripts are bytes from 0x80 on.
bool InName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(const std::string& text) : text_(text) {}

  absl::StatusOr<std::vector<ConditionToken>> Run() {
    std::vector<ConditionToken> tokens;
    do {
      TORII_ASSIGN_OR_RETURN(tokens.emplace_back(), Next());
    } while (tokens.back().kind != Kind::kEnd);
    return tokens;
  }

 private:
  char At(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }

  // The place of the next byte, in characters.
  int64_t Place() const {
    return 1 + std::count_if(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_),
                             [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  }

  absl::StatusOr<ConditionToken> Next() {
    while (std::isspace(static_cast<unsigned char>(At(at_))) != 0) {
      ++at_;
    }
    ConditionToken token;
    token.place = Place();
    const char c = At(at_);
    if (at_ >= text_.size()) {
      return token;
    }
    if (c == '\'' || c == '"') {
      return Quoted(c, Kind::kText, std::move(token));
    }
    if (c == '`') {
      return Quoted(c, Kind::kQuotedName, std::move(token));
    }
    const char second = At(at_ + 1);
    if (IsDigit(c) || ((c == '-' || c == '+' || c == '.') && (IsDigit(second) || second == '.'))) {
      return Number(std::move(token));
    }
    if (InName(c)) {
      const size_t begin = at_;
      while (at_ < text_.size() && InName(text_[at_])) {
        ++at_;
      }
      token.kind = Kind::kName;
      token.text = text_.substr(begin, at_ - begin);
      return token;
    }
    for (const std::string_view symbol : kSymbols) {
      if (std::string_view(text_).substr(at_).starts_with(symbol)) {
        token.kind = Kind::kSymbol;
        token.text = symbol;
        at_ += symbol.size();
        return token;
      }
    }
    return ConditionError(token.place, absl::StrCat("'", std::string(1, c),
                                                    "' has no meaning here; a column whose name "
                                                    "has it is written in backticks: `my-column`"));
  }

  absl::StatusOr<ConditionToken> Quoted(char quote, Kind kind, ConditionToken token) {
    token.kind = kind;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote && At(at_ + 1) != quote) {
        ++at_;
        return token;
      }
      at_ += text_[at_] == quote ? 1 : 0;
      token.text.push_back(text_[at_]);
    }
    return ConditionError(token.place,
                          absl::StrCat("the quote ", std::string(1, quote), " is not closed"));
  }

  absl::StatusOr<ConditionToken> Number(ConditionToken token) {
    const size_t begin = at_ + (At(at_) == '+' ? 1 : 0);
    const auto [end, code] =
        std::from_chars(text_.data() + begin, text_.data() + text_.size(), token.number);
    at_ = static_cast<size_t>(end - text_.data());
    if (code != std::errc() || InName(At(at_))) {
      return ConditionError(token.place, "this is no number; a text is written in quotes");
    }
    token.kind = Kind::kNumber;
    token.text = text_.substr(begin, at_ - begin);
    if (std::abs(token.number) >= kExactIntegers) {
      return ConditionError(token.place, absl::StrCat(token.text,
                                                      " is too large to be compared exactly; write "
                                                      "it in quotes to compare it as a text"));
    }
    return token;
  }

  const std::string& text_;
  size_t at_ = 0;
};

}  // namespace

bool ConditionToken::Is(std::string_view word) const {
  return (kind == Kind::kName || kind == Kind::kSymbol) &&
         absl::EqualsIgnoreCase(text, {word.data(), word.size()});
}

std::string ConditionToken::Shown() const {
  if (kind == Kind::kEnd) {
    return "the end";
  }
  return kind == Kind::kText ? absl::StrCat("the text '", text, "'")
                             : absl::StrCat("\"", text, "\"");
}

absl::StatusOr<std::vector<ConditionToken>> TokensOf(const std::string& text) {
  return Lexer(text).Run();
}

absl::Status ConditionError(int64_t place, const std::string& what) {
  return ConfigError(absl::StrCat("character ", place, ": ", what));
}

}  // namespace torii::data
