// What must hold for the configuration of a model, and its default kinds.
#pragma once

#include "base/config_rules.h"
#include "model/model.pb.h"

namespace torii::model {

// Collects the rules that `config` breaks, whatever the data. rules: of "model".
void Validate(const ModelConfig& config, const ConfigRules& rules);

// Names the default kind where a part of the model names none, so that a printed configuration says
// what is trained.
void FillDefaultKinds(ModelConfig* config);

// Width of the embedding rows of a tower.
int64_t EmbeddingDim(const ModelConfig& config, const TowerConfig& tower);

}  // namespace torii::model
