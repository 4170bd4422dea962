// Columns of a chunk as plain C++ values, whatever their type in the file. Errors name the cell.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "arrow/type_fwd.h"
#include "data/read/table_reader.h"

namespace torii::data {

// One column of one chunk, and where it lies.
struct Column {
  std::shared_ptr<arrow::Array> array;
  std::shared_ptr<const std::string> file;
  std::string name;
  int64_t first_row = 1;
  bool typed = true;  // false: text of a CSV or TSV file or of a folder's name, maybe a number
  std::shared_ptr<const std::vector<int64_t>> row_numbers = nullptr;  // as in TableChunk

  int64_t RowNumber(int64_t i) const {
    return row_numbers == nullptr ? first_row + i : (*row_numbers)[static_cast<size_t>(i)];
  }
};
Column ColumnOf(const TableChunk& chunk, size_t index, const std::string& name);

// kData "items.csv:17: column "price": <what>", for value `index` of the column.
absl::Status CellError(const Column& column, int64_t index, const std::string& what);
// Is it an error of CellError, which is about one row only?
bool IsCellError(const absl::Status& status);
// The number of the row that a CellError is about.
int64_t RowOfCellError(const absl::Status& status);
// kData "items.parquet: column "price": <what>".
absl::Status ColumnError(const Column& column, const std::string& what);
// A value as messages show it: in quotes, cut when long, bytes that are no text written as \xNN.
std::string Shown(std::string_view text);

struct Integers {
  std::vector<int64_t> values;
  std::vector<uint8_t> missing;  // [n], or empty if none is missing
  bool is_missing(size_t i) const { return !missing.empty() && missing[i] != 0; }
};
// Which texts are integers.
enum class IntegerText {
  kAny,        // also 007 and +7
  kCanonical,  // not those, which are probably no numbers
};
// Reads integers, decimals and floats that are whole numbers, and text that holds integers. A NaN
// is missing. `remedy` is appended to the message about any other value.
absl::StatusOr<Integers> ReadIntegers(const Column& column, IntegerText text,
                                      const std::string& remedy);

// Reads numbers of any kind, booleans, and text that holds numbers, true or false. Moments are
// seconds since 1970. A missing value gives NaN; infinity is an error.
absl::StatusOr<std::vector<double>> ReadNumbers(const Column& column);

// The moments of a column of timestamps or dates, in microseconds since 1970; of missing ones, 0.
// Only for IsMoment.
absl::StatusOr<std::vector<int64_t>> ReadMoments(const Column& column);

// Views of text; data() == nullptr is missing. They live as long as this object.
struct Texts {
  std::vector<std::string_view> values;
  std::shared_ptr<arrow::Array> array;
  std::deque<std::string> storage;
};
// Text and binary as they are; numbers, booleans and moments written out. Text (not binary) that is
// not valid UTF-8 is an error.
absl::StatusOr<Texts> ReadTexts(const Column& column);
// kData for the first text that is not valid UTF-8; for binary columns, which ReadTexts accepts.
absl::Status CheckUtf8(const Column& column, const Texts& texts);

// A list column: list i holds elements [begin[i], end[i]) of `elements`.
struct Lists {
  std::vector<int64_t> begin;
  std::vector<int64_t> end;
  std::vector<uint8_t> missing;  // [n]
  // Errors about an element must name row i of the outer column, not the row of `elements`.
  Column elements;
};
// The column must be a list (IsList).
Lists ReadLists(const Column& column);

// What the values of a column are, those of a dictionary by what it holds.
bool IsList(const arrow::Array& array);
bool IsText(const arrow::Array& array);
bool IsInteger(const arrow::Array& array);
bool IsFloat(const arrow::Array& array);
bool IsWholeDecimal(const arrow::Array& array);  // decimal(p, 0)
bool IsMoment(const arrow::Array& array);        // timestamp or date
bool IsNothing(const arrow::Array& array);       // the type null: no value at all

// Text without blanks around it.
std::string_view Trim(std::string_view text);
bool ParseInteger(std::string_view text, int64_t* value);
// An integer as it is usually written: no leading zero, no plus sign.
bool ParseCanonicalInteger(std::string_view text, int64_t* value);
bool ParseNumber(std::string_view text, double* value);

}  // namespace torii::data
