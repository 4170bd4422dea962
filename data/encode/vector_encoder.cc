#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/encode/feature_encoder.h"

namespace torii::data {
namespace {

// Floats of one width; a missing vector is all zeros. Text such as "[0.1, 0.2]" or "0.1 0.2" is
// read as a vector too.
class VectorEncoder final : public FeatureEncoder {
 public:
  explicit VectorEncoder(const Feature& feature) : config_(feature.vector()) {
    info_.set_name(FeatureName(feature));
    info_.set_kind(PreparedFeature::DENSE);
    info_.set_vector(true);
    info_.set_width(config_.width());
  }

  absl::Status Observe(std::span<const Column> columns) override {
    file_ = *columns[0].file;
    return ForEachRow(
        columns[0],
        [this](int64_t row, const std::vector<double>& values, bool missing) -> absl::Status {
          if (missing) {
            info_.set_missing(info_.missing() + 1);
          } else if (info_.width() == 0) {
            info_.set_width(static_cast<int32_t>(values.size()));
            width_from_ = absl::StrCat(" (as in row ", row, ")");
          }
          return absl::OkStatus();
        });
  }

  absl::Status Finish() override {
    if (info_.width() == 0) {
      return DataError(absl::StrCat(file_, ": feature \"", info_.name(),
                                    "\": no row has a vector, so the width is unknown; set width"));
    }
    return absl::OkStatus();
  }

  absl::Status Encode(std::span<const Column> columns, EncodedRows* out) const override {
    return ForEachRow(
        columns[0], [&](int64_t, const std::vector<double>& values, bool missing) -> absl::Status {
          if (missing) {
            EncodeMissing(out);
            return absl::OkStatus();
          }
          double squares = 0;
          for (const double value : values) {
            squares += value * value;
          }
          const double scale = config_.normalize() && squares > 0 ? 1 / std::sqrt(squares) : 1;
          for (const double value : values) {
            out->dense.push_back(static_cast<float>(value * scale));
          }
          return absl::OkStatus();
        });
  }

  void EncodeMissing(EncodedRows* out) const override {
    out->dense.insert(out->dense.end(), static_cast<size_t>(info_.width()), 0.0F);
  }

  const PreparedFeature& info() const override { return info_; }

 private:
  // Calls visit(row number, values, missing) for each row; the width is checked once it is known.
  template <typename Visit>
  absl::Status ForEachRow(const Column& column, Visit&& visit) const {
    std::vector<double> values;
    if (IsText(*column.array)) {
      TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
      for (size_t i = 0; i < texts.values.size(); ++i) {
        const bool missing = Trim(texts.values[i]).empty();
        if (!ParseVector(texts.values[i], &values)) {
          return CellError(column, static_cast<int64_t>(i), "is not a list of numbers");
        }
        TORII_RETURN_IF_ERROR(Check(column, static_cast<int64_t>(i), values, missing));
        TORII_RETURN_IF_ERROR(visit(column.RowNumber(static_cast<int64_t>(i)), values, missing));
      }
      return absl::OkStatus();
    }
    if (IsNothing(*column.array)) {
      for (int64_t i = 0; i < column.array->length(); ++i) {
        TORII_RETURN_IF_ERROR(visit(column.RowNumber(i), values, true));
      }
      return absl::OkStatus();
    }
    if (!IsList(*column.array)) {
      return ColumnError(column, absl::StrCat("has type ", column.array->type()->ToString(),
                                              ", lists of numbers are needed for a vector"));
    }
    const Lists lists = ReadLists(column);
    TORII_ASSIGN_OR_RETURN(const std::vector<double> elements, ReadNumbers(lists.elements));
    for (size_t i = 0; i < lists.begin.size(); ++i) {
      const bool missing = lists.missing[i] != 0;
      values.clear();
      if (!missing) {
        values.assign(elements.begin() + lists.begin[i], elements.begin() + lists.end[i]);
      }
      TORII_RETURN_IF_ERROR(Check(column, static_cast<int64_t>(i), values, missing));
      TORII_RETURN_IF_ERROR(visit(column.RowNumber(static_cast<int64_t>(i)), values, missing));
    }
    return absl::OkStatus();
  }

  absl::Status Check(const Column& column, int64_t i, const std::vector<double>& values,
                     bool missing) const {
    if (missing) {
      return absl::OkStatus();
    }
    const size_t width = static_cast<size_t>(info_.width());
    if (values.empty() || (width > 0 && values.size() != width)) {
      return CellError(column, i,
                       absl::StrCat("the vector has ", values.size(), " values, expected ",
                                    width > 0 ? absl::StrCat(width, width_from_) : "at least 1"));
    }
    for (size_t k = 0; k < values.size(); ++k) {
      if (std::isnan(values[k])) {
        return CellError(column, i, absl::StrCat("value ", k, " of the vector is missing or NaN"));
      }
      if (std::abs(values[k]) > std::numeric_limits<float>::max()) {
        return CellError(column, i,
                         absl::StrCat("value ", k, " of the vector, ", values[k],
                                      ", does not fit into float32; scale the vectors"));
      }
    }
    return absl::OkStatus();
  }

  static bool ParseVector(std::string_view text, std::vector<double>* values) {
    constexpr std::string_view kBetween = " \t,;|[]()";
    values->clear();
    size_t at = 0;
    while ((at = text.find_first_not_of(kBetween, at)) != std::string_view::npos) {
      const size_t end = std::min(text.find_first_of(kBetween, at), text.size());
      if (!ParseNumber(text.substr(at, end - at), &values->emplace_back()) ||
          std::isinf(values->back())) {
        return false;
      }
      at = end;
    }
    return true;
  }

  const Vector config_;
  PreparedFeature info_;
  std::string width_from_;
  std::string file_;
};

}  // namespace

std::unique_ptr<FeatureEncoder> MakeVectorEncoder(const Feature& feature) {
  return std::make_unique<VectorEncoder>(feature);
}

}  // namespace torii::data
