#include "data/read/time_column.h"

#include <bit>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/util/value_parsing.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

// Same order as the doubles: flip all but the sign bit of negative numbers.
int64_t KeyOfDouble(double value) {
  const int64_t bits = std::bit_cast<int64_t>(value + 0.0);  // -0 -> 0
  return bits < 0 ? bits ^ INT64_MAX : bits;
}

double DoubleOfKey(int64_t key) { return std::bit_cast<double>(key < 0 ? key ^ INT64_MAX : key); }

// A zone ("Z", "+01:00") is applied; without one the time is UTC.
bool ParseIso(std::string_view text, int64_t* microseconds) {
  const std::string_view trimmed = Trim(text);
  bool has_zone = false;
  return arrow::internal::ParseTimestampISO8601(trimmed.data(), trimmed.size(),
                                                arrow::TimeUnit::MICRO, microseconds, &has_zone);
}

std::string_view KindName(TimeKind kind) {
  switch (kind) {
    case TimeKind::kInteger:
      return "integers";
    case TimeKind::kFloat:
      return "floating-point numbers";
    default:
      return "dates";
  }
}

absl::StatusOr<TimeKind> KindOf(const Column& column) {
  const arrow::Type::type type = column.array->type_id();
  if (type == arrow::Type::FLOAT || type == arrow::Type::DOUBLE ||
      type == arrow::Type::HALF_FLOAT) {
    return TimeKind::kFloat;
  }
  if (!IsText(*column.array)) {
    return TimeKind::kInteger;
  }
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  TimeKind kind = TimeKind::kInteger;
  for (size_t i = 0; i < texts.values.size(); ++i) {
    int64_t integer = 0;
    double number = 0;
    if (texts.values[i].data() == nullptr || ParseInteger(texts.values[i], &integer)) {
      continue;
    }
    if (ParseNumber(texts.values[i], &number)) {
      kind = TimeKind::kFloat;
    } else if (ParseIso(texts.values[i], &integer)) {
      return TimeKind::kIsoText;
    } else {
      return CellError(column, static_cast<int64_t>(i),
                       absl::StrCat("value \"", std::string(texts.values[i]),
                                    "\" is not a time (a number, or like 2024-01-31 12:34:56)"));
    }
  }
  return kind;
}

absl::StatusOr<std::vector<int64_t>> ReadIsoTimes(const Column& column) {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  std::vector<int64_t> keys(texts.values.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string_view text = texts.values[i];
    if (text.data() == nullptr || !ParseIso(text, &keys[i])) {
      return CellError(column, static_cast<int64_t>(i),
                       absl::StrCat("value \"", text.data() == nullptr ? "" : std::string(text),
                                    "\" is not a time like 2024-01-31 12:34:56"));
    }
  }
  return keys;
}

absl::Status MissingTime(const Column& column, size_t i) {
  return CellError(column, static_cast<int64_t>(i),
                   "the time is missing; every row needs one (or leave interactions.time out)");
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> ReadTimes(const Column& column, TimeKind* kind) {
  if (*kind == TimeKind::kUnknown) {
    TORII_ASSIGN_OR_RETURN(*kind, KindOf(column));
  } else if (!IsText(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const TimeKind found, KindOf(column));
    if (found != *kind) {
      return ColumnError(
          column, absl::StrCat("has ", std::string(KindName(found)), ", the files before it have ",
                               std::string(KindName(*kind))));
    }
  }
  if (*kind == TimeKind::kIsoText) {
    return ReadIsoTimes(column);
  }
  if (*kind == TimeKind::kInteger) {
    TORII_ASSIGN_OR_RETURN(Integers integers, ReadIntegers(column, ", as the times before it are"));
    for (size_t i = 0; i < integers.missing.size(); ++i) {
      if (integers.missing[i] != 0) {
        return MissingTime(column, i);
      }
    }
    return std::move(integers.values);
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<double> numbers, ReadNumbers(column));
  std::vector<int64_t> keys(numbers.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (std::isnan(numbers[i])) {
      return MissingTime(column, i);
    }
    keys[i] = KeyOfDouble(numbers[i]);
  }
  return keys;
}

int64_t KeyOfTime(int64_t time, TimeKind kind) {
  return kind == TimeKind::kFloat ? KeyOfDouble(static_cast<double>(time)) : time;
}

int64_t TimeOfKey(int64_t key, TimeKind kind) {
  return kind == TimeKind::kFloat ? static_cast<int64_t>(std::floor(DoubleOfKey(key))) : key;
}

}  // namespace torii::data
