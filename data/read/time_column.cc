#include "data/read/time_column.h"

#include <bit>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/read/time_text.h"

namespace torii::data {
namespace {

// What AUTO takes for a date: 1990 to 2100, in seconds.
constexpr int64_t kEarliest = 631'152'000;
constexpr int64_t kLatest = 4'102'444'800;
constexpr TimeUnit kUnits[] = {InteractionFiles::SECONDS, InteractionFiles::MILLISECONDS,
                               InteractionFiles::MICROSECONDS, InteractionFiles::NANOSECONDS};

double PerSecond(TimeUnit unit) {
  switch (unit) {
    case InteractionFiles::SECONDS:
      return 1;
    case InteractionFiles::MILLISECONDS:
      return 1e3;
    case InteractionFiles::MICROSECONDS:
      return 1e6;
    default:
      return 1e9;
  }
}

std::string UnitName(TimeUnit unit) { return InteractionFiles::TimeUnit_Name(unit); }

// The unit in which `time` lies between 1990 and 2100, if there is one. There are not two.
std::optional<TimeUnit> UnitOf(double time) {
  for (const TimeUnit unit : kUnits) {
    const double seconds = time / PerSecond(unit);
    if (seconds >= kEarliest && seconds < kLatest) {
      return unit;
    }
  }
  return std::nullopt;
}

// False: beyond the range of microseconds.
bool Microseconds(int64_t time, TimeUnit unit, int64_t* out) {
  switch (unit) {
    case InteractionFiles::SECONDS:
      return !__builtin_mul_overflow(time, kMicrosecondsPerSecond, out);
    case InteractionFiles::MILLISECONDS:
      return !__builtin_mul_overflow(time, int64_t{1000}, out);
    case InteractionFiles::MICROSECONDS:
      *out = time;
      return true;
    default:
      *out = time / 1000 - (time % 1000 < 0 ? 1 : 0);  // round towards the past
      return true;
  }
}
bool Microseconds(double time, TimeUnit unit, int64_t* out) {
  const double microseconds = time / PerSecond(unit) * static_cast<double>(kMicrosecondsPerSecond);
  *out = std::llround(microseconds);
  return std::abs(microseconds) < 9e18;
}

// Same order as the doubles: flip all but the sign bit of negative numbers.
int64_t KeyOfDouble(double value) {
  const int64_t bits = std::bit_cast<int64_t>(value + 0.0);  // -0 -> 0
  return bits < 0 ? bits ^ INT64_MAX : bits;
}
double DoubleOfKey(int64_t key) { return std::bit_cast<double>(key < 0 ? key ^ INT64_MAX : key); }

absl::Status MissingTime(const Column& column, int64_t i) {
  return CellError(column, i,
                   "the time is missing; every row needs one (or leave interactions.time out)");
}

absl::Status NoTime(const Column& column, size_t i, std::string_view text) {
  return CellError(column, static_cast<int64_t>(i),
                   absl::StrCat("value ", Shown(text),
                                " is not a time (a number, or like 2024-01-31 12:34:56)"));
}

bool IsNumber(const arrow::Array& array) {
  return IsInteger(array) || IsFloat(array) || arrow::is_decimal(array.type_id());
}

absl::Status WrongType(const Column& column) {
  return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                          "; times are timestamps, dates, numbers, or text such as "
                                          "2024-01-31 12:34:56"));
}

// The first rows as numbers (NaN: missing); nullopt if they are texts of dates.
absl::StatusOr<std::optional<std::vector<double>>> NumbersOfTexts(const Column& column) {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  std::vector<double> numbers(texts.values.size(), std::nan(""));
  for (size_t i = 0; i < numbers.size(); ++i) {
    const std::string_view text = texts.values[i];
    int64_t moment = 0;
    if (text.data() == nullptr || Trim(text).empty() || ParseNumber(text, &numbers[i])) {
      continue;
    }
    if (!ParseTime(text, &moment)) {
      return NoTime(column, i, text);
    }
    return std::optional<std::vector<double>>();
  }
  return std::optional(std::move(numbers));
}

// What AUTO makes of the first numbers of a file.
absl::StatusOr<TimesSeen> UnitOfNumbers(const Column& column, const std::vector<double>& numbers) {
  TimesSeen seen;
  seen.kind = TimesSeen::Kind::kNumbers;
  std::optional<TimeUnit> unit;
  std::optional<size_t> no_date;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (std::isnan(numbers[i])) {
      continue;
    }
    const std::optional<TimeUnit> here = UnitOf(numbers[i]);
    if (!here.has_value()) {
      no_date = no_date.value_or(i);
    } else if (unit.has_value() && *unit != *here) {
      return CellError(
          column, static_cast<int64_t>(i),
          absl::StrCat("time ", numbers[i], " is a date in ", UnitName(*here), ", those before in ",
                       UnitName(*unit), "; a file has one unit (set data.interactions.time_unit)"));
    } else {
      unit = here;
    }
  }
  if (unit.has_value() && !no_date.has_value()) {
    seen.unit = *unit;
    seen.why = absl::StrCat("numbers read as ", UnitName(*unit), " since 1970");
  } else if (no_date.has_value()) {
    seen.why = absl::StrCat("numbers with an order but no dates, because row ",
                            column.RowNumber(static_cast<int64_t>(*no_date)), " has ",
                            numbers[*no_date], ", which lies between 1990 and 2100 in no unit");
  } else {
    seen.kind = TimesSeen::Kind::kNothing;
  }
  return seen;
}

}  // namespace

absl::StatusOr<TimesSeen> LookAtTimes(const Column& column, TimeUnit unit) {
  TimesSeen seen;
  if (IsNothing(*column.array)) {
    return seen;
  }
  if (IsMoment(*column.array)) {
    seen.kind = TimesSeen::Kind::kDates;
    seen.why = absl::StrCat("a column of type ", column.array->type()->ToString());
    return seen;
  }
  std::vector<double> numbers;
  if (IsText(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const auto of_texts, NumbersOfTexts(column));
    if (!of_texts.has_value()) {
      seen.kind = TimesSeen::Kind::kDates;
      seen.why = "dates written as text";
      return seen;
    }
    numbers = *of_texts;
  } else if (IsNumber(*column.array)) {
    TORII_ASSIGN_OR_RETURN(numbers, ReadNumbers(column));
  } else {
    return WrongType(column);
  }
  if (unit == InteractionFiles::AUTO) {
    TORII_ASSIGN_OR_RETURN(seen, UnitOfNumbers(column, numbers));
  } else {
    seen.kind = TimesSeen::Kind::kNumbers;
    seen.unit = unit;
    seen.why = absl::StrCat("numbers in ", UnitName(unit), " (time_unit)");
  }
  for (const double number : numbers) {
    seen.fractions = seen.fractions || (!std::isnan(number) && number != std::floor(number));
  }
  return seen;
}

absl::StatusOr<TimeReader> TimeReader::Make(const std::map<std::string, TimesSeen>& of_file,
                                            TimeUnit configured) {
  TimeReader reader;
  reader.of_file_ = of_file;
  reader.automatic_ = configured == InteractionFiles::AUTO;
  const std::string* dates = nullptr;
  const std::string* ordinals = nullptr;
  for (const auto& [file, seen] : of_file) {
    if (seen.kind == TimesSeen::Kind::kNothing) {
      continue;
    }
    const bool ordinal =
        seen.kind == TimesSeen::Kind::kNumbers && seen.unit == InteractionFiles::ORDINAL;
    const std::string*& first = ordinal ? ordinals : dates;
    first = first == nullptr ? &file : first;
    if (seen.kind == TimesSeen::Kind::kNumbers && !ordinal) {
      reader.first_unit_ = seen.unit;
    }
    reader.fractions_ = reader.fractions_ || (ordinal && seen.fractions);
  }
  if (dates != nullptr && ordinals != nullptr) {
    return DataError(absl::StrCat(
        "times cannot be compared: ", *dates, " has ", of_file.at(*dates).why, "; ", *ordinals,
        " has ", of_file.at(*ordinals).why,
        "; set data.interactions.time_unit, or write the same kind of time into all files"));
  }
  reader.ordinal_ = ordinals != nullptr;
  return reader;
}

template <typename Number>
bool TimeReader::KeyOf(Number time, TimeUnit unit, int64_t* key) const {
  if (!Microseconds(time, unit, key)) {
    return false;
  }
  return !automatic_ ||
         (*key >= kEarliest * kMicrosecondsPerSecond && *key < kLatest * kMicrosecondsPerSecond);
}

template <typename Number>
absl::Status TimeReader::NoKey(const Column& column, size_t i, Number time, TimeUnit unit) const {
  const auto row = static_cast<int64_t>(i);
  int64_t microseconds = 0;
  if (!Microseconds(time, unit, &microseconds)) {
    return CellError(column, row,
                     absl::StrCat("time ", time, " is too far from 1970 in ", UnitName(unit),
                                  " (data.interactions.time_unit)"));
  }
  return CellError(column, row,
                   absl::StrCat("time would be ", TimeText(microseconds), " in ", UnitName(unit),
                                ", the unit of the first rows; set data.interactions.time_unit to ",
                                UnitName(unit), " if it is right, or correct the value"));
}

absl::StatusOr<std::vector<int64_t>> TimeReader::ReadNumbersOfTexts(const Column& column,
                                                                    TimeUnit unit) const {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  std::vector<int64_t> keys(texts.values.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string_view text = texts.values[i];
    int64_t integer = 0;
    double number = 0;
    if (text.data() == nullptr || Trim(text).empty()) {
      return MissingTime(column, static_cast<int64_t>(i));
    }
    if (ParseInteger(text, &integer)) {
      if (!KeyOf(integer, unit, &keys[i])) {
        return NoKey(column, i, integer, unit);
      }
    } else if (!ParseNumber(text, &number) || !std::isfinite(number)) {
      return CellError(column, static_cast<int64_t>(i),
                       absl::StrCat("value ", Shown(text),
                                    " is not a number, as the times of the first rows are"));
    } else if (!KeyOf(number, unit, &keys[i])) {
      return NoKey(column, i, number, unit);
    }
  }
  return keys;
}

absl::StatusOr<std::vector<int64_t>> TimeReader::ReadNumbersOf(const Column& column,
                                                               TimeUnit unit) const {
  if (IsText(*column.array)) {
    return ReadNumbersOfTexts(column, unit);
  }
  std::vector<int64_t> keys(static_cast<size_t>(column.array->length()));
  if (IsInteger(*column.array) || IsWholeDecimal(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const Integers integers,
                           ReadIntegers(column, IntegerText::kAny, " as a time"));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (integers.is_missing(i)) {
        return MissingTime(column, static_cast<int64_t>(i));
      }
      if (!KeyOf(integers.values[i], unit, &keys[i])) {
        return NoKey(column, i, integers.values[i], unit);
      }
    }
    return keys;
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<double> numbers, ReadNumbers(column));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (std::isnan(numbers[i])) {
      return MissingTime(column, static_cast<int64_t>(i));
    }
    if (!KeyOf(numbers[i], unit, &keys[i])) {
      return NoKey(column, i, numbers[i], unit);
    }
  }
  return keys;
}

absl::StatusOr<std::vector<int64_t>> TimeReader::ReadOrdinals(const Column& column) const {
  if (!fractions_) {
    TORII_ASSIGN_OR_RETURN(
        Integers integers,
        ReadIntegers(column, IntegerText::kAny,
                     ", as the times of the first rows are; set data.interactions.time_unit"));
    for (size_t i = 0; i < integers.missing.size(); ++i) {
      if (integers.missing[i] != 0) {
        return MissingTime(column, static_cast<int64_t>(i));
      }
    }
    return std::move(integers.values);
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<double> numbers, ReadNumbers(column));
  std::vector<int64_t> keys(numbers.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (std::isnan(numbers[i])) {
      return MissingTime(column, static_cast<int64_t>(i));
    }
    keys[i] = KeyOfDouble(numbers[i]);
  }
  return keys;
}

absl::StatusOr<std::vector<int64_t>> TimeReader::Read(const Column& column) const {
  const auto found = of_file_.find(*column.file);
  const TimesSeen seen = found == of_file_.end() ? TimesSeen{} : found->second;
  if (IsNothing(*column.array)) {
    return MissingTime(column, 0);
  }
  if (IsMoment(*column.array)) {
    for (int64_t i = 0; i < column.array->length(); ++i) {
      if (column.array->IsNull(i)) {
        return MissingTime(column, i);
      }
    }
    return ReadMoments(column);
  }
  if (seen.kind == TimesSeen::Kind::kNumbers) {
    return ordinal_ ? ReadOrdinals(column) : ReadNumbersOf(column, seen.unit);
  }
  if (!IsText(*column.array)) {
    return WrongType(column);
  }
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  std::vector<int64_t> keys(texts.values.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string_view text = texts.values[i];
    if (text.data() == nullptr || Trim(text).empty()) {
      return MissingTime(column, static_cast<int64_t>(i));
    }
    if (!ParseTime(text, &keys[i])) {
      return NoTime(column, i, text);
    }
  }
  return keys;
}

int64_t TimeReader::TimeOfKey(int64_t key) const {
  return ordinal_ && fractions_ ? static_cast<int64_t>(std::floor(DoubleOfKey(key))) : key;
}

std::string TimeReader::TextOfKey(int64_t key) const {
  if (!ordinal_) {
    return TimeText(key);
  }
  return fractions_ ? absl::StrCat(DoubleOfKey(key)) : absl::StrCat(key);
}

absl::StatusOr<int64_t> TimeReader::KeyOfText(const std::string& text,
                                              const std::string& field) const {
  int64_t key = 0;
  int64_t integer = 0;
  double number = 0;
  if (ParseNumber(text, &number) && std::isfinite(number)) {
    if (ordinal_) {
      const bool whole = ParseInteger(text, &integer);
      return !fractions_ && whole ? integer : KeyOfDouble(number);
    }
    const bool fits = ParseInteger(text, &integer) ? Microseconds(integer, first_unit_, &key)
                                                   : Microseconds(number, first_unit_, &key);
    if (fits) {
      return key;
    }
  } else if (!ordinal_ && ParseTime(text, &key)) {
    return key;
  }
  return ConfigError(absl::StrCat(field, ": \"", text, "\" is ",
                                  ordinal_ ? "not a number, as the times of the files are"
                                           : "neither a date such as 2024-01-31 12:34:56 nor a "
                                             "number in the unit of the time column"));
}

}  // namespace torii::data
