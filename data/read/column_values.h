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
};
Column ColumnOf(const TableChunk& chunk, size_t index, const std::string& name);

// kData "items.csv:17: column "price": <what>", for value `index` of the column.
absl::Status CellError(const Column& column, int64_t index, const std::string& what);
// kData "items.parquet: column "price": <what>".
absl::Status ColumnError(const Column& column, const std::string& what);

struct Integers {
  std::vector<int64_t> values;
  std::vector<uint8_t> missing;  // [n], or empty if none is missing
  bool is_missing(size_t i) const { return !missing.empty() && missing[i] != 0; }
};
// Reads integer, boolean, date and timestamp columns, and text that holds integers. `remedy` is
// appended to the message about any other value.
absl::StatusOr<Integers> ReadIntegers(const Column& column, const std::string& remedy);

// Reads numbers, booleans, and text that holds numbers. A missing value gives NaN; infinity is an
// error.
absl::StatusOr<std::vector<double>> ReadNumbers(const Column& column);

// Views of text; data() == nullptr is missing. They live as long as this object.
struct Texts {
  std::vector<std::string_view> values;
  std::shared_ptr<arrow::Array> array;
  std::deque<std::string> storage;
};
// Text and binary as they are; numbers, booleans and dates written out.
absl::StatusOr<Texts> ReadTexts(const Column& column);

// A list column: list i holds elements [begin[i], end[i]) of `elements`.
struct Lists {
  std::vector<int64_t> begin;
  std::vector<int64_t> end;
  std::vector<uint8_t> missing;  // [n]
  // Errors about an element must name row i of the outer column, not the row of `elements`.
  Column elements;
};
bool IsList(const arrow::Array& array);
bool IsText(const arrow::Array& array);
bool IsInteger(const arrow::Array& array);
// The column must be a list (IsList).
Lists ReadLists(const Column& column);

// Text without blanks around it.
std::string_view Trim(std::string_view text);
bool ParseInteger(std::string_view text, int64_t* value);
bool ParseNumber(std::string_view text, double* value);

}  // namespace torii::data
