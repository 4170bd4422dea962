#include <cmath>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/status_macros.h"
#include "data/encode/feature_encoder.h"

namespace torii::data {
namespace {

// Column k set: row k + 1. A missing flag is not set; a row in which all are missing has row 0.
class FlagsEncoder final : public FeatureEncoder {
 public:
  explicit FlagsEncoder(const Feature& feature) {
    info_.set_name(FeatureName(feature));
    info_.set_kind(PreparedFeature::BAG);
    info_.set_rows(feature.column_size() + 1);
    for (const std::string& column : feature.column()) {
      info_.add_value(column);
    }
  }

  absl::Status Observe(std::span<const Column> columns) override {
    TORII_ASSIGN_OR_RETURN(const Flagged flagged, Read(columns));
    for (const uint8_t missing : flagged.missing) {
      info_.set_missing(info_.missing() + missing);
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override { return absl::OkStatus(); }

  absl::Status Encode(std::span<const Column> columns, EncodedRows* out) const override {
    TORII_ASSIGN_OR_RETURN(const Flagged flagged, Read(columns));
    for (size_t i = 0; i < flagged.missing.size(); ++i) {
      if (flagged.missing[i] != 0) {
        EncodeMissing(out);
        continue;
      }
      const size_t before = out->values.size();
      for (size_t k = 0; k < columns.size(); ++k) {
        if (flagged.set[k][i] != 0) {
          out->values.push_back(static_cast<int32_t>(k) + 1);
        }
      }
      out->lengths.push_back(static_cast<int64_t>(out->values.size() - before));
    }
    return absl::OkStatus();
  }

  void EncodeMissing(EncodedRows* out) const override {
    out->values.push_back(0);
    out->lengths.push_back(1);
  }

  const PreparedFeature& info() const override { return info_; }

 private:
  struct Flagged {
    std::vector<std::vector<uint8_t>> set;  // [columns][rows]
    std::vector<uint8_t> missing;           // [rows]
  };

  static absl::StatusOr<Flagged> Read(std::span<const Column> columns) {
    Flagged flagged;
    flagged.missing.assign(static_cast<size_t>(columns[0].array->length()), 1);
    for (const Column& column : columns) {
      std::vector<uint8_t>& set = flagged.set.emplace_back(flagged.missing.size());
      TORII_ASSIGN_OR_RETURN(const std::vector<double> values, Numbers(column));
      for (size_t i = 0; i < values.size(); ++i) {
        set[i] = !std::isnan(values[i]) && values[i] != 0 ? 1 : 0;
        flagged.missing[i] = std::isnan(values[i]) ? flagged.missing[i] : 0;
      }
    }
    return flagged;
  }

  // 0/1, or the words true and false.
  static absl::StatusOr<std::vector<double>> Numbers(const Column& column) {
    if (!IsText(*column.array)) {
      return ReadNumbers(column);
    }
    TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
    std::vector<double> values(texts.values.size(), std::nan(""));
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string_view text = Trim(texts.values[i]);
      if (text == "true" || text == "True" || text == "TRUE") {
        values[i] = 1;
      } else if (text == "false" || text == "False" || text == "FALSE") {
        values[i] = 0;
      } else if (!text.empty() && !ParseNumber(text, &values[i])) {
        return CellError(column, static_cast<int64_t>(i),
                         absl::StrCat("value \"", std::string(text), "\" is not a flag (0, 1, ",
                                      "true, false)"));
      }
    }
    return values;
  }

  PreparedFeature info_;
};

}  // namespace

std::unique_ptr<FeatureEncoder> MakeFlagsEncoder(const Feature& feature) {
  return std::make_unique<FlagsEncoder>(feature);
}

}  // namespace torii::data
