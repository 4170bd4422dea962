#include "arrow/array.h"
#include "base/status_macros.h"
#include "data/encode/feature_encoder.h"
#include "data/encode/text_tokens.h"

namespace torii::data {
namespace {

// A bag of hashed tokens; a missing text is an empty bag.
class TextEncoder final : public FeatureEncoder {
 public:
  explicit TextEncoder(const Feature& feature) : config_(feature.text()) {
    info_.set_name(FeatureName(feature));
    info_.set_kind(PreparedFeature::BAG);
    info_.set_rows(config_.hash_rows());
    info_.set_tokenizer(TokenizerVersion());
  }

  absl::Status Observe(std::span<const Column> columns) override {
    TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(columns[0]));
    TORII_RETURN_IF_ERROR(CheckUtf8(columns[0], texts));
    for (const std::string_view text : texts.values) {
      info_.set_missing(info_.missing() + (text.empty() ? 1 : 0));
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override { return absl::OkStatus(); }

  absl::Status Encode(std::span<const Column> columns, EncodedRows* out) const override {
    TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(columns[0]));
    for (const std::string_view text : texts.values) {
      const std::vector<int32_t> rows = tokenizer_.Rows(text, config_);
      out->values.insert(out->values.end(), rows.begin(), rows.end());
      out->lengths.push_back(static_cast<int64_t>(rows.size()));
    }
    return absl::OkStatus();
  }

  void EncodeMissing(EncodedRows* out) const override { out->lengths.push_back(0); }

  const PreparedFeature& info() const override { return info_; }

 private:
  const Text config_;
  const Tokenizer tokenizer_;
  PreparedFeature info_;
};

}  // namespace

std::unique_ptr<FeatureEncoder> MakeTextEncoder(const Feature& feature) {
  return std::make_unique<TextEncoder>(feature);
}

}  // namespace torii::data
