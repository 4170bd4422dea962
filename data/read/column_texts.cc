// ReadTexts: the values of a column as text.
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/scalar.h"
#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "arrow/util/utf8.h"
#include "base/status_macros.h"
#include "data/read/column_values.h"
#include "data/read/time_text.h"

namespace torii::data {
namespace {

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

// Text of any of Arrow's text types.
void FillTextsOf(const arrow::Array& array, Texts* texts) {
  switch (array.type_id()) {
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return FillTexts<arrow::LargeBinaryArray>(array, texts);
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      return FillTexts<arrow::BinaryViewArray>(array, texts);
    case arrow::Type::FIXED_SIZE_BINARY:
      return FillTexts<arrow::FixedSizeBinaryArray>(array, texts);
    default:
      return FillTexts<arrow::BinaryArray>(array, texts);
  }
}

// One look at all bytes of a text column.
bool IsUtf8(const arrow::Array& array) {
  arrow::util::InitializeUTF8();
  switch (array.type_id()) {
    case arrow::Type::STRING:
      return static_cast<const arrow::StringArray&>(array).ValidateUTF8().ok();
    case arrow::Type::LARGE_STRING:
      return static_cast<const arrow::LargeStringArray&>(array).ValidateUTF8().ok();
    case arrow::Type::STRING_VIEW:
      return static_cast<const arrow::StringViewArray&>(array).ValidateUTF8().ok();
    default:
      return true;
  }
}

std::string NumberText(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

template <typename Array>
void FillIntegers(const arrow::Array& array, Texts* texts) {
  const auto& typed = static_cast<const Array&>(array);
  for (int64_t i = 0; i < typed.length(); ++i) {
    if (typed.IsValid(i)) {
      texts->values[static_cast<size_t>(i)] =
          texts->storage.emplace_back(std::to_string(typed.Value(i)));
    }
  }
}

void FillIntegersOf(const arrow::Array& array, Texts* texts) {
  switch (array.type_id()) {
    case arrow::Type::INT8:
      return FillIntegers<arrow::Int8Array>(array, texts);
    case arrow::Type::INT16:
      return FillIntegers<arrow::Int16Array>(array, texts);
    case arrow::Type::INT32:
      return FillIntegers<arrow::Int32Array>(array, texts);
    case arrow::Type::UINT8:
      return FillIntegers<arrow::UInt8Array>(array, texts);
    case arrow::Type::UINT16:
      return FillIntegers<arrow::UInt16Array>(array, texts);
    case arrow::Type::UINT32:
      return FillIntegers<arrow::UInt32Array>(array, texts);
    case arrow::Type::UINT64:
      return FillIntegers<arrow::UInt64Array>(array, texts);
    default:
      return FillIntegers<arrow::Int64Array>(array, texts);
  }
}

void FillBooleans(const arrow::BooleanArray& array, Texts* texts) {
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsValid(i)) {
      texts->values[static_cast<size_t>(i)] = array.Value(i) ? "true" : "false";
    }
  }
}

absl::Status FillFloats(const Column& column, Texts* texts) {
  TORII_ASSIGN_OR_RETURN(const std::vector<double> values, ReadNumbers(column));
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isnan(values[i])) {
      texts->values[i] = texts->storage.emplace_back(NumberText(values[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status FillMoments(const Column& column, Texts* texts) {
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> moments, ReadMoments(column));
  for (size_t i = 0; i < moments.size(); ++i) {
    if (column.array->IsValid(static_cast<int64_t>(i))) {
      texts->values[i] = texts->storage.emplace_back(TimeText(moments[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status FillDecimals(const Column& column, Texts* texts) {
  for (int64_t i = 0; i < column.array->length(); ++i) {
    if (column.array->IsValid(i)) {
      const auto scalar = column.array->GetScalar(i);
      if (!scalar.ok()) {
        return ColumnError(column, scalar.status().message());
      }
      texts->values[static_cast<size_t>(i)] = texts->storage.emplace_back((*scalar)->ToString());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckUtf8(const Column& column, const Texts& texts) {
  for (size_t i = 0; i < texts.values.size(); ++i) {
    if (!arrow::util::ValidateUTF8(texts.values[i])) {
      return CellError(
          column, static_cast<int64_t>(i),
          absl::StrCat("value ", Shown(texts.values[i]), " is not valid UTF-8",
                       column.typed ? "; write the column as UTF-8"
                                    : "; set `encoding` beside the path of the file, for example "
                                      "\"ISO-8859-1\" or \"Shift_JIS\""));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Texts> ReadTexts(const Column& column) {
  const arrow::Array& array = *column.array;
  Texts texts;
  texts.values.resize(static_cast<size_t>(array.length()));
  texts.array = column.array;
  if (array.type_id() == arrow::Type::DICTIONARY) {
    Column of_dictionary = column;
    const auto& dictionary = static_cast<const arrow::DictionaryArray&>(array);
    of_dictionary.array = dictionary.dictionary();
    TORII_ASSIGN_OR_RETURN(Texts words, ReadTexts(of_dictionary));
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.IsValid(i)) {
        texts.values[static_cast<size_t>(i)] =
            words.values[static_cast<size_t>(dictionary.GetValueIndex(i))];
      }
    }
    texts.storage = std::move(words.storage);
    return texts;
  }
  if (IsNothing(array)) {
    return texts;
  }
  if (IsText(array)) {
    FillTextsOf(array, &texts);
    if (!IsUtf8(array)) {
      TORII_RETURN_IF_ERROR(CheckUtf8(column, texts));
    }
  } else if (IsInteger(array)) {
    FillIntegersOf(array, &texts);
  } else if (IsFloat(array)) {
    TORII_RETURN_IF_ERROR(FillFloats(column, &texts));
  } else if (IsMoment(array)) {
    TORII_RETURN_IF_ERROR(FillMoments(column, &texts));
  } else if (array.type_id() == arrow::Type::BOOL) {
    FillBooleans(static_cast<const arrow::BooleanArray&>(array), &texts);
  } else if (arrow::is_decimal(array.type_id())) {
    TORII_RETURN_IF_ERROR(FillDecimals(column, &texts));
  } else {
    return ColumnError(column, absl::StrCat("has type ", array.type()->ToString(),
                                            ", text or numbers are needed"));
  }
  return texts;
}

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) {
    return text.substr(0, 0);
  }
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

bool ParseInteger(std::string_view text, int64_t* value) {
  std::string_view digits = Trim(text);
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') {
    digits.remove_prefix(1);
  }
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end;
}

bool ParseCanonicalInteger(std::string_view text, int64_t* value) {
  const std::string_view digits = Trim(text);
  if (digits.empty() || digits[0] == '+') {
    return false;
  }
  const size_t first = digits[0] == '-' ? 1 : 0;
  if (digits.size() > first && digits[first] == '0' && digits.size() > 1) {
    return false;
  }
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end;
}

bool ParseNumber(std::string_view text, double* value) {
  std::string_view digits = Trim(text);
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') {
    digits.remove_prefix(1);
  }
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace torii::data
