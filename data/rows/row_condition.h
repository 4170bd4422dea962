// A condition of the configuration (condition.h), evaluated on rows by Arrow's compute functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/read/column_values.h"
#include "data/rows/condition.h"

namespace torii::data {

// Immutable. As in SQL, a comparison with a missing value is unknown, and so is what depends on it.
class RowCondition {
 public:
  // `field`: of the configuration, for messages. kConfig if the text does not follow the grammar.
  static absl::StatusOr<RowCondition> Parse(const std::string& text, const std::string& field);

  // The columns it names, each once.
  const std::vector<std::string>& columns() const { return columns_; }

  // [rows] 1: the condition is true; 0: it is false or unknown. A number is compared with numbers,
  // booleans, moments in seconds and texts of numbers; a text with texts, the digits of numbers and
  // moments. kData, naming the row, the column and its place in the condition, for a value that
  // cannot be compared so.
  absl::StatusOr<std::vector<uint8_t>> Holds(
      int64_t rows, const std::function<Column(const std::string& name)>& column) const;

 private:
  RowCondition(Condition condition, std::string field);

  Condition condition_;
  std::string field_;
  std::vector<std::string> columns_;
};

}  // namespace torii::data
