#include "data/read/time_text.h"

#include <algorithm>
#include <cctype>
#include <chrono>

#include "absl/strings/str_format.h"
#include "arrow/util/value_parsing.h"
#include "data/read/column_values.h"

namespace torii::data {
namespace {

constexpr size_t kMicrosecondDigits = 6;

// Without digits of the fraction that microseconds do not have.
std::string WithShortFraction(std::string_view text) {
  std::string out(text);
  const size_t dot = out.find('.');
  if (dot == std::string::npos) {
    return out;
  }
  size_t end = dot + 1;
  while (end < out.size() && std::isdigit(static_cast<unsigned char>(out[end])) != 0) {
    ++end;
  }
  if (end - dot - 1 > kMicrosecondDigits) {
    out.erase(dot + 1 + kMicrosecondDigits, end - dot - 1 - kMicrosecondDigits);
  }
  return out;
}

}  // namespace

bool ParseTime(std::string_view text, int64_t* microseconds) {
  const auto parse = [&](std::string_view iso) {
    bool has_zone = false;
    return arrow::internal::ParseTimestampISO8601(iso.data(), iso.size(), arrow::TimeUnit::MICRO,
                                                  microseconds, &has_zone);
  };
  text = Trim(text);
  if (parse(text)) {
    return true;
  }
  for (const std::string_view utc : {" UTC", " GMT", " Z"}) {
    if (text.ends_with(utc)) {
      text = Trim(text.substr(0, text.size() - utc.size()));
      break;
    }
  }
  std::string plain = WithShortFraction(text);
  // "12:34:56 +0100"
  constexpr size_t kDateLength = 10;
  const size_t blank = plain.rfind(' ');
  if (blank != std::string::npos && blank > kDateLength && blank + 1 < plain.size() &&
      (plain[blank + 1] == '+' || plain[blank + 1] == '-')) {
    plain.erase(blank, 1);
  }
  return parse(plain);
}

std::string TimeText(int64_t microseconds) {
  const std::chrono::sys_time<std::chrono::microseconds> moment{
      std::chrono::microseconds(microseconds)};
  const auto day = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::year_month_day date(day);
  std::string text =
      absl::StrFormat("%04d-%02d-%02d", static_cast<int>(date.year()),
                      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  const int64_t of_day = (moment - day).count();
  if (of_day == 0) {
    return text;
  }
  const int64_t seconds = of_day / kMicrosecondsPerSecond;
  absl::StrAppendFormat(&text, " %02d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (const int64_t fraction = of_day % kMicrosecondsPerSecond; fraction != 0) {
    absl::StrAppendFormat(&text, ".%06d", fraction);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text;
}

}  // namespace torii::data
