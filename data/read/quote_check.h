// Follows the double quotes of a CSV text: finds quotes that are not closed, without parsing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace torii::data {

struct QuoteRules {
  char delimiter = ',';
  int64_t max_lines = 100;  // that a value in quotes may span
  // Columns of the file. With them, a value of several lines that look like rows is a fault; 0: it
  // is not.
  int64_t columns = 0;
};

struct QuoteFault {
  int64_t offset = 0;  // of the quote that began the value, from the beginning of the text
  std::string what;    // "the quote is not closed"
};

// Blocks of the text come one after the other. A quote opens a value at its beginning only, as in
// RFC 4180; "" inside is a quote; after the closing quote comes the delimiter or the end of the
// line.
class QuoteCheck {
 public:
  explicit QuoteCheck(const QuoteRules& rules) : rules_(rules) {}
  // The first fault; nothing may be checked after it.
  std::optional<QuoteFault> Check(std::string_view block);
  std::optional<QuoteFault> AtEnd() const;

 private:
  enum class State { kOutside, kInside, kAfterQuote, kBlanksAfterQuote };

  // Each takes bytes off the front of *rest.
  void Outside(std::string_view* rest);
  std::optional<QuoteFault> Inside(std::string_view* rest);
  std::optional<QuoteFault> AfterQuote(std::string_view* rest);
  std::optional<QuoteFault> Lines(std::string_view inside);
  QuoteFault Fault(const std::string& what) const { return {open_at_, what}; }
  void Take(std::string_view* rest, size_t count);

  const QuoteRules rules_;
  State state_ = State::kOutside;
  char before_ = '\n';  // the byte before the next one, outside of quotes
  int64_t position_ = 0;
  int64_t open_at_ = 0;
  // Of the value in quotes that is open: line ends so far, delimiters since the last of them, and
  // whether every whole line so far has as many delimiters as a row.
  int64_t line_ends_ = 0;
  int64_t delimiters_ = 0;
  bool lines_are_rows_ = true;
};

}  // namespace torii::data
