#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "data/encode/feature_encoder.h"

namespace torii::data {
namespace {

constexpr uint64_t kHashSeed = 0;
constexpr int32_t kMissingRow = 0;

// Row 0: missing, empty, rare and unknown values. Vocabulary: value i of info().value() has row i
// + 1. Hashing: row 1 + XXH3_64(value) mod hash_rows.
class CategoricalEncoder final : public FeatureEncoder {
 public:
  explicit CategoricalEncoder(const Feature& feature) : config_(feature.categorical()) {
    info_.set_name(FeatureName(feature));
    info_.set_kind(config_.has_separator() ? PreparedFeature::BAG : PreparedFeature::SINGLE);
  }

  absl::Status Observe(std::span<const Column> columns) override {
    TORII_RETURN_IF_ERROR(LearnKind(columns[0]));
    return ForEachRow(columns[0], [this](std::span<const std::string_view> values, bool missing) {
      missing_ += missing ? 1 : 0;
      if (config_.hash_rows() == 0) {
        for (const std::string_view value : values) {
          if (!value.empty()) {
            ++counts_[std::string(value)];
          }
        }
      }
    });
  }

  absl::Status Finish() override {
    info_.set_missing(missing_);
    if (config_.hash_rows() > 0) {
      info_.set_rows(config_.hash_rows() + 1);
      return absl::OkStatus();
    }
    std::vector<std::pair<std::string, int64_t>> ordered;
    for (auto& [value, count] : counts_) {
      if (count >= config_.min_count()) {
        ordered.emplace_back(value, count);
      }
    }
    counts_.clear();
    std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    if (config_.max_values() > 0 && static_cast<int64_t>(ordered.size()) > config_.max_values()) {
      ordered.resize(static_cast<size_t>(config_.max_values()));
    }
    for (auto& [value, count] : ordered) {
      rows_.emplace(value, static_cast<int32_t>(rows_.size()) + 1);
      info_.add_value(std::move(value));
    }
    info_.set_rows(static_cast<int64_t>(rows_.size()) + 1);
    return absl::OkStatus();
  }

  absl::Status Encode(std::span<const Column> columns, EncodedRows* out) const override {
    const bool bag = info_.kind() == PreparedFeature::BAG;
    return ForEachRow(columns[0], [&](std::span<const std::string_view> values, bool missing) {
      if (missing) {
        EncodeMissing(out);
        return;
      }
      for (const std::string_view value : values) {
        out->values.push_back(RowOf(value));
      }
      if (bag) {
        out->lengths.push_back(static_cast<int64_t>(values.size()));
      }
    });
  }

  void EncodeMissing(EncodedRows* out) const override {
    out->values.push_back(kMissingRow);
    if (info_.kind() == PreparedFeature::BAG) {
      out->lengths.push_back(1);
    }
  }

  const PreparedFeature& info() const override { return info_; }

 private:
  // The first chunk that has a type decides; a file whose column has none has nothing but missing
  // values.
  absl::Status LearnKind(const Column& column) {
    if (IsNothing(*column.array)) {
      return absl::OkStatus();
    }
    const bool list = IsList(*column.array);
    if (first_file_ == nullptr) {
      first_file_ = column.file;
      if (list) {
        info_.set_kind(PreparedFeature::BAG);
      }
    } else if ((list || config_.has_separator()) != (info_.kind() == PreparedFeature::BAG)) {
      return ColumnError(
          column,
          absl::StrCat("has ", list ? "lists" : "single values", ", ", *first_file_, " has ",
                       list ? "single values" : "lists", "; write the same into all files"));
    }
    return absl::OkStatus();
  }

  int32_t RowOf(std::string_view value) const {
    if (value.empty()) {
      return kMissingRow;
    }
    if (config_.hash_rows() > 0) {
      return static_cast<int32_t>(1 + StableHash(value, kHashSeed) %
                                          static_cast<uint64_t>(config_.hash_rows()));
    }
    const auto found = rows_.find(absl::string_view(value.data(), value.size()));
    return found == rows_.end() ? kMissingRow : found->second;
  }

  // Calls visit(values, missing) for each row. A missing list element is an empty value.
  template <typename Visit>
  absl::Status ForEachRow(const Column& column, Visit&& visit) const {
    std::vector<std::string_view> row;
    if (IsList(*column.array)) {
      const Lists lists = ReadLists(column);
      TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(lists.elements));
      TORII_RETURN_IF_ERROR(CheckUtf8(lists.elements, texts));
      for (size_t i = 0; i < lists.begin.size(); ++i) {
        row.clear();
        for (int64_t k = lists.begin[i]; k < lists.end[i] && lists.missing[i] == 0; ++k) {
          row.push_back(texts.values[static_cast<size_t>(k)]);
        }
        visit(row, lists.missing[i] != 0);
      }
      return absl::OkStatus();
    }
    TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
    TORII_RETURN_IF_ERROR(CheckUtf8(column, texts));
    for (const std::string_view text : texts.values) {
      row.clear();
      if (config_.has_separator()) {
        Split(text, &row);
      } else if (!text.empty()) {
        row.push_back(text);
      }
      visit(row, row.empty());
    }
    return absl::OkStatus();
  }

  // Empty pieces, as in "a||b" or at the end, are no values.
  void Split(std::string_view text, std::vector<std::string_view>* pieces) const {
    while (!text.empty()) {
      const size_t end = std::min(text.find(config_.separator()), text.size());
      if (const std::string_view piece = Trim(text.substr(0, end)); !piece.empty()) {
        pieces->push_back(piece);
      }
      text.remove_prefix(std::min(text.size(), end + config_.separator().size()));
    }
  }

  const Categorical config_;
  PreparedFeature info_;
  std::shared_ptr<const std::string> first_file_;  // that says what the values are
  int64_t missing_ = 0;
  absl::flat_hash_map<std::string, int64_t> counts_;
  absl::flat_hash_map<std::string, int32_t> rows_;
};

}  // namespace

std::unique_ptr<FeatureEncoder> MakeCategoricalEncoder(const Feature& feature) {
  return std::make_unique<CategoricalEncoder>(feature);
}

}  // namespace torii::data
