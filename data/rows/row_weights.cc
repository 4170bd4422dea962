#include "data/rows/row_weights.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "arrow/array.h"
#include "base/status_macros.h"
#include "data/read/column_values.h"

namespace torii::data {
namespace {

absl::Status NotANumber(const Column& column, int64_t i, const std::string& value) {
  return CellError(column, i, absl::StrCat("weight ", value, " is not a number >= 0"));
}

// Missing is fine, a NaN that somebody computed is not.
absl::Status CheckNoNan(const Column& column) {
  const auto check = [&](const auto& array) -> absl::Status {
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.IsValid(i) && std::isnan(array.Value(i))) {
        return NotANumber(column, i, "NaN");
      }
    }
    return absl::OkStatus();
  };
  if (column.array->type_id() == arrow::Type::DOUBLE) {
    return check(static_cast<const arrow::DoubleArray&>(*column.array));
  }
  if (column.array->type_id() == arrow::Type::FLOAT) {
    return check(static_cast<const arrow::FloatArray&>(*column.array));
  }
  if (IsText(*column.array)) {
    TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
    for (size_t i = 0; i < texts.values.size(); ++i) {
      double value = 0;
      if (texts.values[i].data() != nullptr && ParseNumber(texts.values[i], &value) &&
          std::isnan(value)) {
        return NotANumber(column, static_cast<int64_t>(i), "NaN");
      }
    }
  }
  return absl::OkStatus();
}

// Missing weighs 1.
absl::StatusOr<std::vector<float>> ReadWeights(const Column& column) {
  TORII_ASSIGN_OR_RETURN(const std::vector<double> values, ReadNumbers(column));
  std::vector<float> weights;
  for (size_t i = 0; i < values.size(); ++i) {
    const double weight = std::isnan(values[i]) ? 1.0 : values[i];
    if (weight < 0 || weight > std::numeric_limits<float>::max()) {
      return NotANumber(column, static_cast<int64_t>(i), absl::StrCat(weight));
    }
    weights.push_back(static_cast<float>(weight));
  }
  return weights;
}

}  // namespace

bool HasRowWeights(const InteractionFiles& config) {
  return !config.weight().empty() || config.rating_as_weight() || config.has_weight_map();
}

RowWeights::RowWeights(const InteractionFiles& config, const InteractionColumns& columns)
    : config_(config), columns_(columns) {
  for (const WeightOfKey& value : config.weight_map().value()) {
    weight_of_.emplace(value.key(), static_cast<float>(value.weight()));
  }
  if (config.weight_map().has_default_()) {
    other_ = static_cast<float>(config.weight_map().default_());
  }
}

absl::StatusOr<std::vector<float>> RowWeights::ReadMapped(const Column& column) const {
  TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
  std::vector<float> weights;
  weights.reserve(texts.values.size());
  for (size_t i = 0; i < texts.values.size(); ++i) {
    const std::string_view text = texts.values[i];
    const auto found = weight_of_.find(absl::string_view(text.data(), text.size()));
    if (text.data() != nullptr && found != weight_of_.end()) {
      weights.push_back(found->second);
    } else if (other_.has_value()) {
      weights.push_back(*other_);
    } else {
      return CellError(
          column, static_cast<int64_t>(i),
          absl::StrCat(
              text.data() == nullptr ? "a missing value" : absl::StrCat("value ", Shown(text)),
              " has no weight in data.interactions.weight_map; name it there, or set its "
              "`default`"));
    }
  }
  return weights;
}

absl::StatusOr<std::vector<float>> RowWeights::Read(const TableChunk& chunk) const {
  if (!HasRowWeights(config_)) {
    return std::vector<float>();
  }
  if (columns_.weight_key >= 0) {
    return ReadMapped(columns_.Of(chunk, columns_.weight_key));
  }
  if (columns_.weight < 0) {
    return ReadWeights(columns_.Of(chunk, columns_.rating));
  }
  const Column column = columns_.Of(chunk, columns_.weight);
  TORII_RETURN_IF_ERROR(CheckNoNan(column));
  return ReadWeights(column);
}

}  // namespace torii::data
