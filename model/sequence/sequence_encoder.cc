#include "model/sequence/sequence_encoder.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "model/sequence/gru.h"
#include "model/sequence/pooled.h"

namespace torii::model {

std::unique_ptr<SequenceEncoder> MakeSequenceEncoder(const HistoryConfig& config,
                                                     const std::string& name, int64_t width,
                                                     DenseParameters& parameters) {
  switch (config.sequence_case()) {
    case HistoryConfig::kRecency:
      return MakeRecencySequence(config.recency(), parameters.device());
    case HistoryConfig::kGru:
      return MakeGruSequence(config.gru(), name, width, parameters);
    case HistoryConfig::kMean:
    case HistoryConfig::SEQUENCE_NOT_SET:
      break;
  }
  return MakeMeanSequence(parameters.device());
}

int64_t SequenceWidth(const HistoryConfig& config, int64_t width) {
  return config.has_gru() && config.gru().hidden() > 0 ? config.gru().hidden() : width;
}

std::vector<std::string> ValidateHistory(const std::string& place, const HistoryConfig& config) {
  std::vector<std::string> problems;
  if (config.length() < 1) {
    problems.push_back(absl::StrCat(place, ".length = ", config.length(),
                                    ": must be at least 1; leave `history` out for none"));
  }
  const double half_life = config.recency().half_life();
  if (!(half_life > 0) || !std::isfinite(half_life)) {
    problems.push_back(absl::StrCat(place, ".recency.half_life = ", half_life,
                                    ": must be positive, in items, e.g. 10"));
  }
  if (config.gru().hidden() < 0) {
    problems.push_back(absl::StrCat(place, ".gru.hidden = ", config.gru().hidden(),
                                    ": must be positive, or 0 for the width of the items' rows"));
  }
  return problems;
}

}  // namespace torii::model
