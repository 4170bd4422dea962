#include "data/prepare/id_type.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/compute/cast.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

using Verdict = IdsSeen::Verdict;

// Fewer than one in so many values are mistakes; more are ids of text.
constexpr int64_t kMistakes = 10;

// What programs write for a value that is not there.
bool IsWordForMissing(std::string_view text) {
  constexpr std::array<std::string_view, 12> kWords = {
      "NULL", "null", "Null", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "None", "nil", "\\N"};
  return std::find(kWords.begin(), kWords.end(), Trim(text)) != kWords.end();
}

bool AnyBeyondSigned(const arrow::Array& array) {
  return array.type_id() == arrow::Type::UINT64 &&
         !arrow::compute::Cast(array, arrow::int64()).ok();
}

absl::Status NotAnInteger(const Column& column, size_t i, std::string_view text, int64_t integers,
                          size_t all, const std::string& field) {
  const bool word = IsWordForMissing(text);
  return CellError(column, static_cast<int64_t>(i),
                   absl::StrCat("value ", Shown(text), " is not an integer, as ", integers,
                                " of the first ", all, " ids are; ",
                                word ? "name it in `null_values` if it means that there is no id, "
                                     : "correct it, ",
                                "or set ", field, ": TEXT"));
}

// The ids of a file without types.
absl::StatusOr<IdsSeen> LookAtTexts(const Column& column, const std::string& field) {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  IdsSeen seen;
  seen.typed = false;
  seen.file = *column.file;
  int64_t integers = 0;
  int64_t others = 0;
  int64_t words = 0;
  std::optional<size_t> odd;   // an integer written in an unusual way
  std::optional<size_t> text;  // no integer
  for (size_t i = 0; i < texts.values.size(); ++i) {
    const std::string_view value = texts.values[i];
    int64_t ignored = 0;
    if (value.data() == nullptr || Trim(value).empty()) {
      continue;
    }
    if (ParseCanonicalInteger(value, &ignored)) {
      ++integers;
    } else if (ParseInteger(value, &ignored)) {
      odd = odd.value_or(i);
    } else {
      text = text.value_or(i);
      ++others;
      words += IsWordForMissing(value) ? 1 : 0;
    }
  }
  const auto row = [&](size_t i) { return column.RowNumber(static_cast<int64_t>(i)); };
  if (odd.has_value()) {
    seen.verdict = Verdict::kText;
    seen.why = absl::StrCat("row ", row(*odd), " has ", Shown(texts.values[*odd]),
                            ", which has a leading zero or plus sign");
  } else if (text.has_value() && integers > 0 &&
             (words == others || others * kMistakes < integers)) {
    return NotAnInteger(column, *text, texts.values[*text], integers, texts.values.size(), field);
  } else if (text.has_value()) {
    seen.verdict = Verdict::kText;
    seen.why = absl::StrCat("row ", row(*text), " has ", Shown(texts.values[*text]));
  } else if (integers > 0) {
    seen.verdict = Verdict::kIntegers;
    seen.why = absl::StrCat("the first ", integers,
                            integers == 1 ? " id is an integer" : " ids are integers");
  }
  return seen;
}

}  // namespace

absl::StatusOr<IdsSeen> LookAtIds(const Column& column, const std::string& field) {
  const arrow::Array& array = *column.array;
  if (!column.typed && IsText(array)) {
    return LookAtTexts(column, field);
  }
  IdsSeen seen;
  seen.file = *column.file;
  if (IsNothing(array)) {
    return seen;
  }
  seen.why = absl::StrCat("its type is ", array.type()->ToString());
  if (AnyBeyondSigned(array)) {
    seen.verdict = Verdict::kText;
    absl::StrAppend(&seen.why, ", with ids of 2^63 and more");
  } else if (IsInteger(array) || IsFloat(array) || IsWholeDecimal(array)) {
    seen.verdict = Verdict::kIntegers;
  } else if (IsText(array)) {
    seen.verdict = Verdict::kText;
  } else {
    return ColumnError(
        column, absl::StrCat("has type ", array.type()->ToString(), "; ids are integers or text"));
  }
  return seen;
}

absl::StatusOr<IdReading> DecideIdType(std::span<const IdsSeen> files, IdType configured,
                                       const std::string& field) {
  IdReading reading;
  reading.type = configured;
  reading.field = field;
  if (configured != DETECT) {
    reading.why = "as configured";
    return reading;
  }
  reading.detected = true;
  const IdsSeen* integers = nullptr;
  const IdsSeen* text = nullptr;
  for (const IdsSeen& seen : files) {
    // The verdict of a file with types counts more than one that was read off its values.
    const IdsSeen*& best = seen.verdict == Verdict::kText ? text : integers;
    if (seen.verdict != Verdict::kNothing && (best == nullptr || (seen.typed && !best->typed))) {
      best = &seen;
    }
  }
  if (integers != nullptr && text != nullptr && integers->typed) {
    return DataError(absl::StrCat("ids cannot be compared: ", integers->file, " has integers (",
                                  integers->why, "), ", text->file, " has text (", text->why,
                                  "); set ", field, ": TEXT or INTEGER"));
  }
  reading.type = text != nullptr ? TEXT : INTEGER;
  const IdsSeen* decided = text != nullptr ? text : integers;
  reading.why = decided == nullptr ? "no file has an id" : decided->file + ": " + decided->why;
  return reading;
}

}  // namespace torii::data
