#include "model/sequence/sequence_encoder.h"

#include <cmath>

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

void ValidateHistory(const HistoryConfig& config, const ConfigRules& rules) {
  rules.Require(config.length() >= 1, "length", config.length(),
                "at least 1 (leave `history` out for none)");
  const double half_life = config.recency().half_life();
  rules.Require(half_life > 0 && std::isfinite(half_life), "recency.half_life", half_life,
                "positive, in items");
  rules.Require(config.gru().hidden() >= 0, "gru.hidden", config.gru().hidden(),
                "positive, or 0 for the width of the items' rows");
}

}  // namespace torii::model
