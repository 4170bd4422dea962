#include "data/read/quote_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace torii::data {
namespace {

// So many whole lines that look like rows are no text.
constexpr int64_t kLinesLikeRows = 2;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

void QuoteCheck::Take(std::string_view* rest, size_t count) {
  rest->remove_prefix(count);
  position_ += static_cast<int64_t>(count);
}

void QuoteCheck::Outside(std::string_view* rest) {
  const size_t quote = rest->find('"');
  if (quote == std::string_view::npos) {
    before_ = rest->back();
    Take(rest, rest->size());
    return;
  }
  const char before = quote == 0 ? before_ : (*rest)[quote - 1];
  if (before == rules_.delimiter || before == '\n' || before == '\r') {
    state_ = State::kInside;
    open_at_ = position_ + static_cast<int64_t>(quote);
    line_ends_ = 0;
    delimiters_ = 0;
    lines_are_rows_ = true;
  }
  before_ = '"';
  Take(rest, quote + 1);
}

std::optional<QuoteFault> QuoteCheck::Lines(std::string_view inside) {
  for (const char c : inside) {
    if (c == rules_.delimiter) {
      ++delimiters_;
    } else if (c == '\n') {
      if (line_ends_ > 0) {  // what is before the first line end is the rest of a row
        lines_are_rows_ = lines_are_rows_ && delimiters_ + 1 == rules_.columns;
      }
      delimiters_ = 0;
      ++line_ends_;
    }
  }
  if (line_ends_ >= rules_.max_lines) {
    return Fault(absl::StrCat("the quote is not closed within ", rules_.max_lines, " lines"));
  }
  return std::nullopt;
}

std::optional<QuoteFault> QuoteCheck::Inside(std::string_view* rest) {
  const size_t quote = std::min(rest->find('"'), rest->size());
  if (auto fault = Lines(rest->substr(0, quote))) {
    return fault;
  }
  if (quote == rest->size()) {
    Take(rest, quote);
    return std::nullopt;
  }
  state_ = State::kAfterQuote;
  Take(rest, quote + 1);
  return std::nullopt;
}

std::optional<QuoteFault> QuoteCheck::AfterQuote(std::string_view* rest) {
  const char c = rest->front();
  if (c == '"' && state_ == State::kAfterQuote) {
    state_ = State::kInside;
    Take(rest, 1);
    return std::nullopt;
  }
  if (c == rules_.delimiter || c == '\n' || c == '\r') {
    if (rules_.columns > 1 && line_ends_ > kLinesLikeRows && lines_are_rows_) {
      return Fault(absl::StrCat("the value in quotes holds ", line_ends_ - 1,
                                " lines that look like rows: a quote is not closed"));
    }
    state_ = State::kOutside;
    before_ = c;
    Take(rest, 1);
    return std::nullopt;
  }
  if (c == ' ') {
    state_ = State::kBlanksAfterQuote;
    Take(rest, 1);
    return std::nullopt;
  }
  return Fault(line_ends_ > 0
                   ? absl::StrCat("the quote is not closed before another one, ", line_ends_,
                                  line_ends_ == 1 ? " line" : " lines", " later")
                   : "there is text after the closing quote");
}

std::optional<QuoteFault> QuoteCheck::Check(std::string_view block) {
  if (position_ == 0 && block.starts_with(kByteOrderMark)) {
    Take(&block, kByteOrderMark.size());
  }
  while (!block.empty()) {
    std::optional<QuoteFault> fault;
    switch (state_) {
      case State::kOutside:
        Outside(&block);
        break;
      case State::kInside:
        fault = Inside(&block);
        break;
      case State::kAfterQuote:
      case State::kBlanksAfterQuote:
        fault = AfterQuote(&block);
        break;
    }
    if (fault.has_value()) {
      return fault;
    }
  }
  return std::nullopt;
}

std::optional<QuoteFault> QuoteCheck::AtEnd() const {
  if (state_ == State::kInside) {
    return Fault("the quote is not closed before the end of the file");
  }
  return std::nullopt;
}

}  // namespace torii::data
