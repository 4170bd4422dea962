// Blocks of JSON lines -> record batches. Each block has its own types: 5 and then 5.5 in another
// block are an int64 and a double column.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/result.h"
#include "arrow/type_fwd.h"

namespace torii::data {

// Reads some columns; other keys, whatever they hold, are passed over. A column is, in each block,
// int64, double, bool, text, or a list of one of these; null if no object of the block has a value.
// A text that looks like a time is a text. Used by one thread.
class JsonBlockParser {
 public:
  void SetColumns(std::span<const std::string> columns) {
    columns_.assign(columns.begin(), columns.end());
    types_.clear();
  }
  // One object a line; empty lines do not count.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Parse(std::string_view lines);

 private:
  arrow::Status FindTypes(std::string_view lines);

  std::vector<std::string> columns_;
  std::vector<std::shared_ptr<arrow::DataType>> types_;  // [columns] in the block before, or empty
};

}  // namespace torii::data
