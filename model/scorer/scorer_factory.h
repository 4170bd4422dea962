// The scorer that a configuration asks for. A kind is a message in scorer.proto, a file here and a
// line in scorer_factory.cc.
#pragma once

#include <cstdint>
#include <memory>

#include "base/config_rules.h"
#include "model/dense_parameters.h"
#include "model/scorer/scorer.h"
#include "model/scorer/scorer.pb.h"

namespace torii::model {

// dim: D. Registers the weights in `parameters`, which is borrowed.
std::unique_ptr<Scorer> MakeScorer(const ScorerConfig& config, int64_t dim,
                                   DenseParameters& parameters);

// Whether scores are inner products (Scorer::is_inner_product).
bool IsInnerProduct(const ScorerConfig& config);
// Collects the rules that `config` breaks.
void ValidateScorer(const ScorerConfig& config, const ConfigRules& rules);

}  // namespace torii::model
