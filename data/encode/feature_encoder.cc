#include "data/encode/feature_encoder.h"

#include "base/check.h"

namespace torii::data {

std::string FeatureName(const Feature& feature) {
  return !feature.name().empty() || feature.column().empty() ? feature.name() : feature.column(0);
}

std::unique_ptr<FeatureEncoder> MakeFeatureEncoder(const Feature& feature) {
  switch (feature.kind_case()) {
    case Feature::kCategorical:
      return MakeCategoricalEncoder(feature);
    case Feature::kNumeric:
      return MakeNumericEncoder(feature);
    case Feature::kText:
      return MakeTextEncoder(feature);
    case Feature::kVector:
      return MakeVectorEncoder(feature);
    case Feature::kFlags:
      return MakeFlagsEncoder(feature);
    case Feature::KIND_NOT_SET:
      break;
  }
  TORII_CHECK(false, "feature ", FeatureName(feature), " has no kind");
  return nullptr;
}

}  // namespace torii::data
