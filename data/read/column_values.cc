#include "data/read/column_values.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "arrow/util/float16.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr size_t kShownChars = 60;

std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, kShownChars));
  return absl::StrCat("\"", shown, text.size() > kShownChars ? "...\"" : "\"");
}

// Calls `visit` with the array as what it really is, if it has plain C values. False: another type.
template <typename Visit>
bool VisitPlain(const arrow::Array& array, Visit&& visit) {
  switch (array.type_id()) {
    case arrow::Type::INT8:
      visit(static_cast<const arrow::Int8Array&>(array));
      return true;
    case arrow::Type::INT16:
      visit(static_cast<const arrow::Int16Array&>(array));
      return true;
    case arrow::Type::INT32:
      visit(static_cast<const arrow::Int32Array&>(array));
      return true;
    case arrow::Type::INT64:
      visit(static_cast<const arrow::Int64Array&>(array));
      return true;
    case arrow::Type::UINT8:
      visit(static_cast<const arrow::UInt8Array&>(array));
      return true;
    case arrow::Type::UINT16:
      visit(static_cast<const arrow::UInt16Array&>(array));
      return true;
    case arrow::Type::UINT32:
      visit(static_cast<const arrow::UInt32Array&>(array));
      return true;
    case arrow::Type::UINT64:
      visit(static_cast<const arrow::UInt64Array&>(array));
      return true;
    case arrow::Type::BOOL:
      visit(static_cast<const arrow::BooleanArray&>(array));
      return true;
    case arrow::Type::DATE32:
      visit(static_cast<const arrow::Date32Array&>(array));
      return true;
    case arrow::Type::DATE64:
      visit(static_cast<const arrow::Date64Array&>(array));
      return true;
    case arrow::Type::TIMESTAMP:
      visit(static_cast<const arrow::TimestampArray&>(array));
      return true;
    default:
      return false;
  }
}

template <typename Array>
void FillTexts(const arrow::Array& array, Texts* texts) {
  const auto& typed = static_cast<const Array&>(array);
  for (int64_t i = 0; i < typed.length(); ++i) {
    if (typed.IsValid(i)) {
      const std::string_view view = typed.GetView(i);
      // An empty value may have no address; it is not missing for that.
      texts->values[static_cast<size_t>(i)] = view.data() == nullptr ? std::string_view("") : view;
    }
  }
}

// Text of any of Arrow's text types. False: another type.
bool FillTextsOf(const arrow::Array& array, Texts* texts) {
  switch (array.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      FillTexts<arrow::BinaryArray>(array, texts);
      return true;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      FillTexts<arrow::LargeBinaryArray>(array, texts);
      return true;
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      FillTexts<arrow::BinaryViewArray>(array, texts);
      return true;
    case arrow::Type::FIXED_SIZE_BINARY:
      FillTexts<arrow::FixedSizeBinaryArray>(array, texts);
      return true;
    default:
      return false;
  }
}

// Calls gather(i, index) for each row i of a dictionary column that is not missing; index is the
// row's place in the dictionary.
template <typename Gather>
void ForDictionary(const arrow::DictionaryArray& array, Gather&& gather) {
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsValid(i)) {
      gather(static_cast<size_t>(i), static_cast<size_t>(array.GetValueIndex(i)));
    }
  }
}

Column DictionaryOf(const Column& column) {
  Column dictionary = column;
  dictionary.array = static_cast<const arrow::DictionaryArray&>(*column.array).dictionary();
  return dictionary;
}

bool IsDictionary(const arrow::Array& array) { return array.type_id() == arrow::Type::DICTIONARY; }

std::string NumberText(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

template <typename Array>
std::vector<double> Doubles(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  std::vector<double> values(static_cast<size_t>(array.length()),
                             std::numeric_limits<double>::quiet_NaN());
  for (int64_t i = 0; i < array.length(); ++i) {
    if (typed.IsValid(i)) {
      values[static_cast<size_t>(i)] = static_cast<double>(typed.Value(i));
    }
  }
  return values;
}

std::vector<double> HalfFloats(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::HalfFloatArray&>(array);
  std::vector<double> values(static_cast<size_t>(array.length()),
                             std::numeric_limits<double>::quiet_NaN());
  for (int64_t i = 0; i < array.length(); ++i) {
    if (typed.IsValid(i)) {
      values[static_cast<size_t>(i)] = arrow::util::Float16::FromBits(typed.Value(i)).ToDouble();
    }
  }
  return values;
}

absl::StatusOr<Integers> IntegersFromTexts(const Column& column, const std::string& remedy) {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  Integers result;
  result.values.resize(texts.values.size());
  for (size_t i = 0; i < texts.values.size(); ++i) {
    const std::string_view text = texts.values[i];
    if (text.data() == nullptr || Trim(text).empty()) {
      result.missing.resize(texts.values.size());
      result.missing[i] = 1;
    } else if (!ParseInteger(text, &result.values[i])) {
      return CellError(column, static_cast<int64_t>(i),
                       absl::StrCat("value ", Shown(text), " is not an integer", remedy));
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

}  // namespace

Column ColumnOf(const TableChunk& chunk, size_t index, const std::string& name) {
  return {chunk.columns[index], chunk.file, name, chunk.first_row};
}

absl::Status CellError(const Column& column, int64_t index, const std::string& what) {
  return DataError(absl::StrCat(*column.file, ":", column.first_row + index, ": column \"",
                                column.name, "\": ", what));
}

absl::Status ColumnError(const Column& column, const std::string& what) {
  return DataError(absl::StrCat(*column.file, ": column \"", column.name, "\": ", what));
}

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) {
    return text.substr(0, 0);
  }
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

bool ParseInteger(std::string_view text, int64_t* value) {
  const std::string_view trimmed = Trim(text);
  const char* end = trimmed.data() + trimmed.size();
  const auto result = std::from_chars(trimmed.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end;
}

bool ParseNumber(std::string_view text, double* value) {
  const std::string_view trimmed = Trim(text);
  const char* end = trimmed.data() + trimmed.size();
  const auto result = std::from_chars(trimmed.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end;
}

bool IsList(const arrow::Array& array) {
  return array.type_id() == arrow::Type::LIST || array.type_id() == arrow::Type::LARGE_LIST ||
         array.type_id() == arrow::Type::FIXED_SIZE_LIST;
}

bool IsText(const arrow::Array& array) {
  const arrow::DataType& type =
      IsDictionary(array) ? *static_cast<const arrow::DictionaryType&>(*array.type()).value_type()
                          : *array.type();
  return arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id()) ||
         type.id() == arrow::Type::FIXED_SIZE_BINARY;
}

bool IsInteger(const arrow::Array& array) {
  const arrow::DataType& type =
      IsDictionary(array) ? *static_cast<const arrow::DictionaryType&>(*array.type()).value_type()
                          : *array.type();
  return arrow::is_integer(type.id());
}

absl::StatusOr<Integers> ReadIntegers(const Column& column, const std::string& remedy) {
  if (IsText(*column.array)) {
    return IntegersFromTexts(column, remedy);
  }
  const size_t n = static_cast<size_t>(column.array->length());
  Integers result;
  result.values.resize(n);
  if (column.array->type_id() == arrow::Type::NA) {
    result.missing.assign(n, 1);
    return result;
  }
  if (IsDictionary(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const Integers values, ReadIntegers(DictionaryOf(column), remedy));
    result.missing.assign(n, 1);
    ForDictionary(static_cast<const arrow::DictionaryArray&>(*column.array),
                  [&](size_t i, size_t index) {
                    result.values[i] = values.values[index];
                    result.missing[i] = values.is_missing(index) ? 1 : 0;
                  });
    return result;
  }
  int64_t too_large = -1;
  const bool plain = VisitPlain(*column.array, [&](const auto& array) {
    for (size_t i = 0; i < n; ++i) {
      const auto value = array.Value(static_cast<int64_t>(i));
      result.values[i] = static_cast<int64_t>(value);
      if constexpr (std::is_same_v<decltype(value), const uint64_t>) {
        if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) &&
            array.IsValid(static_cast<int64_t>(i))) {
          too_large = static_cast<int64_t>(i);
        }
      }
    }
  });
  if (!plain) {
    return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                            ", integers are needed", remedy));
  }
  if (too_large >= 0) {
    return CellError(column, too_large, "value is too large for a 64-bit signed integer");
  }
  if (column.array->null_count() > 0) {
    result.missing.resize(n);
    for (size_t i = 0; i < n; ++i) {
      result.missing[i] = column.array->IsNull(static_cast<int64_t>(i)) ? 1 : 0;
    }
  }
  return result;
}

absl::StatusOr<std::vector<double>> ReadNumbers(const Column& column) {
  const double missing = std::numeric_limits<double>::quiet_NaN();
  const size_t n = static_cast<size_t>(column.array->length());
  std::vector<double> values(n, missing);
  if (IsText(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
    for (size_t i = 0; i < n; ++i) {
      const std::string_view text = texts.values[i];
      if (text.data() != nullptr && !Trim(text).empty() && !ParseNumber(text, &values[i])) {
        return CellError(column, static_cast<int64_t>(i),
                         absl::StrCat("value ", Shown(text), " is not a number"));
      }
    }
  } else if (IsDictionary(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const std::vector<double> dictionary, ReadNumbers(DictionaryOf(column)));
    ForDictionary(static_cast<const arrow::DictionaryArray&>(*column.array),
                  [&](size_t i, size_t index) { values[i] = dictionary[index]; });
  } else if (column.array->type_id() == arrow::Type::FLOAT) {
    values = Doubles<arrow::FloatArray>(*column.array);
  } else if (column.array->type_id() == arrow::Type::DOUBLE) {
    values = Doubles<arrow::DoubleArray>(*column.array);
  } else if (column.array->type_id() == arrow::Type::HALF_FLOAT) {
    values = HalfFloats(*column.array);
  } else if (column.array->type_id() != arrow::Type::NA &&
             !VisitPlain(*column.array, [&](const auto& array) {
               values = Doubles<std::decay_t<decltype(array)>>(array);
             })) {
    return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                            ", numbers are needed"));
  }
  TORII_RETURN_IF_ERROR(FiniteNumbers(column, values));
  return values;
}

absl::StatusOr<Texts> ReadTexts(const Column& column) {
  Texts texts;
  const size_t n = static_cast<size_t>(column.array->length());
  texts.values.resize(n);
  texts.array = column.array;
  if (column.array->type_id() == arrow::Type::NA || FillTextsOf(*column.array, &texts)) {
    return texts;
  }
  if (IsDictionary(*column.array)) {
    TORII_ASSIGN_OR_RETURN(Texts dictionary, ReadTexts(DictionaryOf(column)));
    ForDictionary(static_cast<const arrow::DictionaryArray&>(*column.array),
                  [&](size_t i, size_t index) { texts.values[i] = dictionary.values[index]; });
    texts.storage = std::move(dictionary.storage);
    return texts;
  }
  if (column.array->type_id() == arrow::Type::FLOAT ||
      column.array->type_id() == arrow::Type::DOUBLE) {
    TORII_ASSIGN_OR_RETURN(const std::vector<double> values, ReadNumbers(column));
    for (size_t i = 0; i < n; ++i) {
      if (!std::isnan(values[i])) {
        texts.values[i] = texts.storage.emplace_back(NumberText(values[i]));
      }
    }
    return texts;
  }
  const bool plain = VisitPlain(*column.array, [&](const auto& array) {
    for (size_t i = 0; i < n; ++i) {
      if (array.IsValid(static_cast<int64_t>(i))) {
        const auto value = array.Value(static_cast<int64_t>(i));
        if constexpr (std::is_same_v<decltype(value), const bool>) {
          texts.values[i] = value ? "true" : "false";
        } else {
          texts.values[i] = texts.storage.emplace_back(std::to_string(value));
        }
      }
    }
  });
  if (!plain) {
    return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                            ", text or numbers are needed"));
  }
  return texts;
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
