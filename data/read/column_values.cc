#include "data/read/column_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/compute/cast.h"
#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "arrow/util/utf8.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/time_text.h"

namespace torii::data {
namespace {

constexpr size_t kShownChars = 60;
constexpr char kRowPayload[] = "torii.row";  // of a CellError: the number of its row
constexpr int64_t kSecondsPerDay = 86400;

const arrow::DataType& ValueType(const arrow::Array& array) {
  return array.type_id() == arrow::Type::DICTIONARY
             ? *static_cast<const arrow::DictionaryType&>(*array.type()).value_type()
             : *array.type();
}

bool IsDictionary(const arrow::Array& array) { return array.type_id() == arrow::Type::DICTIONARY; }

Column DictionaryOf(const Column& column) {
  Column dictionary = column;
  dictionary.array = static_cast<const arrow::DictionaryArray&>(*column.array).dictionary();
  return dictionary;
}

absl::StatusOr<std::shared_ptr<arrow::Array>> CastTo(const Column& column,
                                                     const std::shared_ptr<arrow::DataType>& type) {
  arrow::Result<std::shared_ptr<arrow::Array>> cast =
      arrow::compute::Cast(*column.array, type, arrow::compute::CastOptions::Unsafe());
  if (!cast.ok()) {
    return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                            ", which cannot be read as ", type->ToString()));
  }
  return *std::move(cast);
}

// Microseconds of one value of a timestamp or date. False: beyond the range.
struct MomentScale {
  int64_t times = 1;
  int64_t over = 1;
};
MomentScale ScaleOf(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DATE32) {
    return {.times = kSecondsPerDay * kMicrosecondsPerSecond, .over = 1};
  }
  if (type.id() == arrow::Type::DATE64) {
    return {.times = 1000, .over = 1};
  }
  switch (static_cast<const arrow::TimestampType&>(type).unit()) {
    case arrow::TimeUnit::SECOND:
      return {.times = kMicrosecondsPerSecond, .over = 1};
    case arrow::TimeUnit::MILLI:
      return {.times = 1000, .over = 1};
    case arrow::TimeUnit::MICRO:
      return {};
    case arrow::TimeUnit::NANO:
      return {.times = 1, .over = 1000};
  }
  return {};
}

// The values of a dictionary column, given those of its dictionary. `missing(i)`: row i has none.
template <typename T>
std::vector<T> Gathered(const arrow::Array& column, const std::vector<T>& of_dictionary,
                        T missing) {
  const auto& array = static_cast<const arrow::DictionaryArray&>(column);
  std::vector<T> values(static_cast<size_t>(array.length()), missing);
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsValid(i)) {
      values[static_cast<size_t>(i)] = of_dictionary[static_cast<size_t>(array.GetValueIndex(i))];
    }
  }
  return values;
}

absl::StatusOr<Integers> IntegersFromTexts(const Column& column, IntegerText allowed,
                                           const std::string& remedy) {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  const auto parse = allowed == IntegerText::kAny ? ParseInteger : ParseCanonicalInteger;
  Integers result;
  result.values.resize(texts.values.size());
  for (size_t i = 0; i < texts.values.size(); ++i) {
    const std::string_view text = texts.values[i];
    if (text.data() == nullptr || Trim(text).empty()) {
      result.missing.resize(texts.values.size());
      result.missing[i] = 1;
    } else if (!parse(text, &result.values[i])) {
      int64_t ignored = 0;
      return CellError(column, static_cast<int64_t>(i),
                       absl::StrCat("value ", Shown(text),
                                    ParseInteger(text, &ignored)
                                        ? " has a leading zero or plus sign, unlike the ids before"
                                        : " is not an integer",
                                    remedy));
    }
  }
  return result;
}

absl::StatusOr<Integers> IntegersFromFloats(const Column& column, const std::string& remedy) {
  // Beyond this not every integer has a float of its own.
  const bool narrow = column.array->type_id() != arrow::Type::DOUBLE;
  const double largest = narrow ? 1 << 24 : std::ldexp(1, 53);
  TORII_ASSIGN_OR_RETURN(const std::vector<double> numbers, ReadNumbers(column));
  Integers result;
  result.values.resize(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (std::isnan(numbers[i])) {
      result.missing.resize(numbers.size());
      result.missing[i] = 1;
    } else if (numbers[i] != std::floor(numbers[i]) || std::abs(numbers[i]) > largest) {
      return CellError(
          column, static_cast<int64_t>(i),
          absl::StrCat("value ", numbers[i], " is not a whole number up to ", largest, remedy));
    } else {
      result.values[i] = static_cast<int64_t>(numbers[i]);
    }
  }
  return result;
}

absl::Status FiniteNumbers(const Column& column, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isinf(values[i])) {
      return CellError(column, static_cast<int64_t>(i), "value is infinite");
    }
  }
  return absl::OkStatus();
}

bool ParseTruth(std::string_view text, double* value) {
  const std::string_view word = Trim(text);
  const bool yes = word == "true" || word == "True" || word == "TRUE";
  const bool no = word == "false" || word == "False" || word == "FALSE";
  *value = yes ? 1 : 0;
  return yes || no;
}

absl::StatusOr<std::vector<double>> NumbersFromTexts(const Column& column) {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  std::vector<double> values(texts.values.size(), std::numeric_limits<double>::quiet_NaN());
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string_view text = texts.values[i];
    if (text.data() != nullptr && !Trim(text).empty() && !ParseNumber(text, &values[i]) &&
        !ParseTruth(text, &values[i])) {
      return CellError(column, static_cast<int64_t>(i),
                       absl::StrCat("value ", Shown(text), " is not a number"));
    }
  }
  return values;
}

}  // namespace

Column ColumnOf(const TableChunk& chunk, size_t index, const std::string& name) {
  return {chunk.columns[index], chunk.file,         name,
          chunk.first_row,      chunk.typed[index], chunk.row_numbers};
}

absl::Status CellError(const Column& column, int64_t index, const std::string& what) {
  const int64_t row = column.RowNumber(index);
  absl::Status status =
      DataError(absl::StrCat(*column.file, ":", row, ": column \"", column.name, "\": ", what));
  status.SetPayload(kRowPayload, absl::Cord(absl::StrCat(row)));
  return status;
}

bool IsCellError(const absl::Status& status) { return status.GetPayload(kRowPayload).has_value(); }

int64_t RowOfCellError(const absl::Status& status) {
  int64_t row = 0;
  const auto payload = status.GetPayload(kRowPayload);
  return payload.has_value() && absl::SimpleAtoi(std::string(*payload), &row) ? row : 0;
}

absl::Status ColumnError(const Column& column, const std::string& what) {
  return DataError(absl::StrCat(*column.file, ": column \"", column.name, "\": ", what));
}

std::string Shown(std::string_view text) {
  size_t length = std::min(text.size(), kShownChars);
  while (length > 0 && length < text.size() &&
         (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) {
    --length;  // not inside a character
  }
  const std::string shown(text.substr(0, length));
  arrow::util::InitializeUTF8();
  return absl::StrCat(
      "\"",
      arrow::util::ValidateUTF8(shown) ? absl::Utf8SafeCHexEscape(shown) : absl::CHexEscape(shown),
      length < text.size() ? "...\"" : "\"");
}

bool IsList(const arrow::Array& array) {
  return array.type_id() == arrow::Type::LIST || array.type_id() == arrow::Type::LARGE_LIST ||
         array.type_id() == arrow::Type::FIXED_SIZE_LIST;
}

bool IsText(const arrow::Array& array) {
  const arrow::Type::type id = ValueType(array).id();
  return arrow::is_base_binary_like(id) || arrow::is_binary_view_like(id) ||
         id == arrow::Type::FIXED_SIZE_BINARY;
}

bool IsInteger(const arrow::Array& array) { return arrow::is_integer(ValueType(array).id()); }

bool IsFloat(const arrow::Array& array) { return arrow::is_floating(ValueType(array).id()); }

bool IsWholeDecimal(const arrow::Array& array) {
  const arrow::DataType& type = ValueType(array);
  return arrow::is_decimal(type.id()) && static_cast<const arrow::DecimalType&>(type).scale() == 0;
}

bool IsMoment(const arrow::Array& array) {
  const arrow::Type::type id = ValueType(array).id();
  return id == arrow::Type::TIMESTAMP || id == arrow::Type::DATE32 || id == arrow::Type::DATE64;
}

bool IsNothing(const arrow::Array& array) { return ValueType(array).id() == arrow::Type::NA; }

absl::StatusOr<Integers> ReadIntegers(const Column& column, IntegerText text,
                                      const std::string& remedy) {
  const size_t n = static_cast<size_t>(column.array->length());
  Integers result;
  if (IsNothing(*column.array)) {
    result.values.resize(n);
    result.missing.assign(n, 1);
    return result;
  }
  if (IsDictionary(*column.array)) {
    TORII_ASSIGN_OR_RETURN(Integers values, ReadIntegers(DictionaryOf(column), text, remedy));
    values.missing.resize(values.values.size());
    result.values = Gathered<int64_t>(*column.array, values.values, 0);
    result.missing = Gathered<uint8_t>(*column.array, values.missing, 1);
    return result;
  }
  if (IsText(*column.array)) {
    return IntegersFromTexts(column, text, remedy);
  }
  if (IsFloat(*column.array)) {
    return IntegersFromFloats(column, remedy);
  }
  if (!IsInteger(*column.array) && !IsWholeDecimal(*column.array)) {
    return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                            ", integers are needed", remedy));
  }
  const auto cast = arrow::compute::Cast(*column.array, arrow::int64());
  if (!cast.ok()) {  // a second look for the row
    for (int64_t i = 0; i < column.array->length(); ++i) {
      if (!arrow::compute::Cast(*column.array->Slice(i, 1), arrow::int64()).ok()) {
        return CellError(column, i,
                         absl::StrCat("value is too large for a 64-bit signed integer", remedy));
      }
    }
    return FromArrow(cast.status(), *column.file);
  }
  const auto& integers = static_cast<const arrow::Int64Array&>(**cast);
  result.values.assign(integers.raw_values(), integers.raw_values() + n);
  if (column.array->null_count() > 0) {
    result.missing.resize(n);
    for (size_t i = 0; i < n; ++i) {
      result.missing[i] = column.array->IsNull(static_cast<int64_t>(i)) ? 1 : 0;
    }
  }
  return result;
}

absl::StatusOr<std::vector<int64_t>> ReadMoments(const Column& column) {
  if (IsDictionary(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> moments, ReadMoments(DictionaryOf(column)));
    return Gathered<int64_t>(*column.array, moments, 0);
  }
  const MomentScale scale = ScaleOf(*column.array->type());
  const auto days = column.array->type_id() == arrow::Type::DATE32;
  TORII_ASSIGN_OR_RETURN(auto cast, CastTo(column, days ? arrow::int32() : arrow::int64()));
  if (days) {
    Column narrow = column;
    narrow.array = cast;
    TORII_ASSIGN_OR_RETURN(cast, CastTo(narrow, arrow::int64()));
  }
  const auto& raw = static_cast<const arrow::Int64Array&>(*cast);
  std::vector<int64_t> moments(static_cast<size_t>(raw.length()));
  for (int64_t i = 0; i < raw.length(); ++i) {
    int64_t& moment = moments[static_cast<size_t>(i)];
    if (raw.IsNull(i)) {
      continue;
    }
    if (__builtin_mul_overflow(raw.Value(i), scale.times, &moment)) {
      return CellError(column, i, "the time lies too far from 1970");
    }
    const bool below = moment % scale.over < 0;  // round towards the past
    moment = moment / scale.over - (below ? 1 : 0);
  }
  return moments;
}

absl::StatusOr<std::vector<double>> ReadNumbers(const Column& column) {
  const double missing = std::numeric_limits<double>::quiet_NaN();
  const size_t n = static_cast<size_t>(column.array->length());
  if (IsNothing(*column.array)) {
    return std::vector<double>(n, missing);
  }
  std::vector<double> values(n, missing);
  if (IsDictionary(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const std::vector<double> dictionary, ReadNumbers(DictionaryOf(column)));
    return Gathered<double>(*column.array, dictionary, missing);
  }
  if (IsText(*column.array)) {
    TORII_ASSIGN_OR_RETURN(values, NumbersFromTexts(column));
  } else if (IsMoment(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> moments, ReadMoments(column));
    for (size_t i = 0; i < n; ++i) {
      values[i] = column.array->IsNull(static_cast<int64_t>(i))
                      ? missing
                      : static_cast<double>(moments[i]) / kMicrosecondsPerSecond;
    }
  } else {
    const arrow::Type::type type = column.array->type_id();
    if (!arrow::is_numeric(type) && !arrow::is_decimal(type) && type != arrow::Type::BOOL) {
      return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                              ", numbers are needed"));
    }
    TORII_ASSIGN_OR_RETURN(const auto cast, CastTo(column, arrow::float64()));
    const auto& doubles = static_cast<const arrow::DoubleArray&>(*cast);
    values.assign(doubles.raw_values(), doubles.raw_values() + n);
    for (size_t i = 0; doubles.null_count() > 0 && i < n; ++i) {
      values[i] = doubles.IsNull(static_cast<int64_t>(i)) ? missing : values[i];
    }
  }
  TORII_RETURN_IF_ERROR(FiniteNumbers(column, values));
  return values;
}

Lists ReadLists(const Column& column) {
  Lists lists;
  const int64_t n = column.array->length();
  lists.missing.resize(static_cast<size_t>(n));
  lists.elements = column;
  const auto fill = [&](const auto& array) {
    lists.elements.array = array.values();
    for (int64_t i = 0; i < n; ++i) {
      lists.begin.push_back(array.value_offset(i));
      lists.end.push_back(array.value_offset(i) + array.value_length(i));
      lists.missing[static_cast<size_t>(i)] = array.IsNull(i) ? 1 : 0;
    }
  };
  if (column.array->type_id() == arrow::Type::LIST) {
    fill(static_cast<const arrow::ListArray&>(*column.array));
  } else if (column.array->type_id() == arrow::Type::LARGE_LIST) {
    fill(static_cast<const arrow::LargeListArray&>(*column.array));
  } else {
    fill(static_cast<const arrow::FixedSizeListArray&>(*column.array));
  }
  return lists;
}

}  // namespace torii::data
