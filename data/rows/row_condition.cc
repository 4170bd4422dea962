#include "data/rows/row_condition.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/builder.h"
#include "arrow/compute/api_scalar.h"
#include "arrow/compute/exec.h"
#include "arrow/compute/initialize.h"
#include "arrow/datum.h"
#include "arrow/scalar.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/time_text.h"

namespace torii::data {
namespace {

using Kind = Condition::Kind;
using arrow::Datum;
using Operands = std::vector<Datum>;
using ColumnOfName = std::function<Column(const std::string& name)>;

// Arrow's name of the function that answers a condition.
const char* FunctionOf(Kind kind) {
  switch (kind) {
    case Kind::kAnd:
      return "and_kleene";
    case Kind::kOr:
      return "or_kleene";
    case Kind::kNot:
      return "invert";
    case Kind::kEqual:
      return "equal";
    case Kind::kNotEqual:
      return "not_equal";
    case Kind::kLess:
      return "less";
    case Kind::kLessEqual:
      return "less_equal";
    case Kind::kGreater:
      return "greater";
    case Kind::kGreaterEqual:
      return "greater_equal";
    case Kind::kIn:
      return "is_in";
    case Kind::kIsNull:
      return "is_null";
  }
  return "";
}

bool AsksForOrder(Kind kind) {
  return kind == Kind::kLess || kind == Kind::kLessEqual || kind == Kind::kGreater ||
         kind == Kind::kGreaterEqual;
}

bool IsNumberType(const Column& column) {
  return column.typed && !IsText(*column.array) && !IsMoment(*column.array) &&
         !IsNothing(*column.array);
}

// An array of `values` in which those for which `missing(i)` holds are null.
template <typename Builder, typename Values, typename Missing>
absl::StatusOr<Datum> ToArray(const Values& values, const Missing& missing) {
  Builder builder;
  arrow::Status status = builder.Reserve(static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size() && status.ok(); ++i) {
    status = missing(i) ? builder.AppendNull() : builder.Append(values[i]);
  }
  auto array = status.ok() ? builder.Finish()
                           : arrow::Result<std::shared_ptr<arrow::Array>>(std::move(status));
  if (!array.ok()) {
    return FromArrow(array.status(), "where");
  }
  return Datum(*std::move(array));
}

// The values of a column, and those that it is compared with, in one type.
struct Compared {
  Datum column;
  Datum values;  // [n]
};

template <typename T>
std::vector<T> ValuesAs(const Condition& test) {
  std::vector<T> values;
  for (const ConditionValue& value : test.values) {
    values.push_back(std::get<T>(value));
  }
  return values;
}

constexpr auto kNoneMissing = [](size_t) { return false; };

absl::StatusOr<Compared> AsNumbers(const Condition& test, const Column& column) {
  TORII_ASSIGN_OR_RETURN(std::vector<double> numbers, ReadNumbers(column));
  std::vector<double> values = ValuesAs<double>(test);
  for (std::vector<double>* list : {&numbers, &values}) {
    for (double& number : *list) {
      number += 0.0;  // -0 -> 0
    }
  }
  Compared compared;
  TORII_ASSIGN_OR_RETURN(compared.column, ToArray<arrow::DoubleBuilder>(numbers, [&](size_t i) {
                           return std::isnan(numbers[i]);
                         }));
  TORII_ASSIGN_OR_RETURN(compared.values, ToArray<arrow::DoubleBuilder>(values, kNoneMissing));
  return compared;
}

absl::StatusOr<Compared> AsMoments(const Condition& test, const Column& column) {
  std::vector<int64_t> values;
  for (const std::string& text : ValuesAs<std::string>(test)) {
    if (!ParseTime(text, &values.emplace_back())) {
      return ColumnError(column, absl::StrCat("has times; ", Shown(text),
                                              " is no time such as 2024-01-31 12:34:56"));
    }
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> moments, ReadMoments(column));
  Compared compared;
  TORII_ASSIGN_OR_RETURN(compared.column, ToArray<arrow::Int64Builder>(moments, [&](size_t i) {
                           return column.array->IsNull(static_cast<int64_t>(i));
                         }));
  TORII_ASSIGN_OR_RETURN(compared.values, ToArray<arrow::Int64Builder>(values, kNoneMissing));
  return compared;
}

absl::StatusOr<Compared> AsTexts(const Condition& test, const Column& column) {
  if (AsksForOrder(test.kind) && IsNumberType(column)) {
    return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                            "; compare it with a number, without quotes"));
  }
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  Compared compared;
  TORII_ASSIGN_OR_RETURN(compared.column,
                         ToArray<arrow::LargeStringBuilder>(texts.values, [&](size_t i) {
                           return texts.values[i].data() == nullptr;
                         }));
  TORII_ASSIGN_OR_RETURN(compared.values, ToArray<arrow::LargeStringBuilder>(
                                              ValuesAs<std::string>(test), kNoneMissing));
  return compared;
}

absl::StatusOr<Compared> CommonType(const Condition& test, const Column& column) {
  if (std::holds_alternative<double>(test.values.front())) {
    return AsNumbers(test, column);
  }
  return IsMoment(*column.array) ? AsMoments(test, column) : AsTexts(test, column);
}

absl::StatusOr<Datum> Call(Kind kind, const Operands& operands,
                           const arrow::compute::FunctionOptions* options = nullptr) {
  auto result = arrow::compute::CallFunction(FunctionOf(kind), operands, options);
  if (!result.ok()) {
    return FromArrow(result.status(), "where");
  }
  return *std::move(result);
}

absl::StatusOr<Datum> EvaluateTest(const Condition& test, const Column& column) {
  if (test.kind == Kind::kIsNull) {
    const arrow::compute::NullOptions nan_is_missing(/*nan_is_null=*/true);
    return Call(test.kind, {Datum(column.array)}, &nan_is_missing);
  }
  TORII_ASSIGN_OR_RETURN(const Compared compared, CommonType(test, column));
  if (test.kind == Kind::kIn) {
    const arrow::compute::SetLookupOptions among(
        compared.values, arrow::compute::SetLookupOptions::NullMatchingBehavior::EMIT_NULL);
    return Call(test.kind, {compared.column}, &among);
  }
  const auto value = compared.values.make_array()->GetScalar(0);
  if (!value.ok()) {
    return FromArrow(value.status(), "where");
  }
  return Call(test.kind, {compared.column, Datum(*value)});
}

// The same failure with the place in the condition behind its message.
absl::Status AtPlace(const absl::Status& status, const std::string& field, const Condition& test) {
  absl::Status placed(status.code(),
                      absl::StrCat(status.message(), " (", field, ", character ", test.place, ")"));
  status.ForEachPayload([&placed](absl::string_view url, const absl::Cord& payload) {
    placed.SetPayload(url, payload);
  });
  return placed;
}

absl::StatusOr<Datum> Evaluate(const Condition& condition, const ColumnOfName& column,
                               const std::string& field) {
  if (condition.parts.empty()) {
    absl::StatusOr<Datum> result = EvaluateTest(condition, column(condition.column));
    return result.ok() ? std::move(result) : AtPlace(result.status(), field, condition);
  }
  Operands operands;
  for (const Condition& part : condition.parts) {
    TORII_ASSIGN_OR_RETURN(operands.emplace_back(), Evaluate(part, column, field));
  }
  return Call(condition.kind, operands);
}

void CollectColumns(const Condition& condition, std::vector<std::string>* columns) {
  const bool is_test = condition.parts.empty();
  if (is_test && std::find(columns->begin(), columns->end(), condition.column) == columns->end()) {
    columns->push_back(condition.column);
  }
  for (const Condition& part : condition.parts) {
    CollectColumns(part, columns);
  }
}

}  // namespace

RowCondition::RowCondition(Condition condition, std::string field)
    : condition_(std::move(condition)), field_(std::move(field)) {
  CollectColumns(condition_, &columns_);
}

absl::StatusOr<RowCondition> RowCondition::Parse(const std::string& text,
                                                 const std::string& field) {
  absl::StatusOr<Condition> condition = ParseCondition(text);
  if (!condition.ok()) {
    return Annotate(condition.status(), field);
  }
  if (const arrow::Status ready = arrow::compute::Initialize(); !ready.ok()) {
    return FromArrow(ready, "Arrow's compute functions");
  }
  return RowCondition(*std::move(condition), field);
}

absl::StatusOr<std::vector<uint8_t>> RowCondition::Holds(int64_t rows,
                                                         const ColumnOfName& column) const {
  TORII_ASSIGN_OR_RETURN(const Datum result, Evaluate(condition_, column, field_));
  const std::shared_ptr<arrow::Array> array = result.make_array();
  const auto& answers = static_cast<const arrow::BooleanArray&>(*array);
  std::vector<uint8_t> holds(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    holds[static_cast<size_t>(i)] = answers.IsValid(i) && answers.Value(i) ? 1 : 0;
  }
  return holds;
}

}  // namespace torii::data
