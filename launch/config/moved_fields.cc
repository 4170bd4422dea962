#include "launch/config/moved_fields.h"

namespace torii::launch {
namespace {

struct MovedField {
  absl::string_view message, name, instead;
};

constexpr MovedField kMovedFields[] = {
    {"torii.model.TowerConfig", "combine",
     "write join { sum {} } instead of combine: SUM, and nothing instead of combine: CONCAT, which "
     "is still the default"},
    {"torii.model.TowerConfig", "hidden",
     "write trunk { mlp { hidden: [256, 128] } } instead of hidden: [256, 128]"},
    {"torii.model.TowerConfig", "activation",
     "write trunk { mlp { activation: GELU } } instead of activation: GELU, beside its `hidden`"},
    {"torii.model.TowerConfig", "layer_norm",
     "write trunk { mlp { layer_norm: true } } instead of layer_norm: true, beside its `hidden`"},
    {"torii.model.TowerConfig", "dropout",
     "write trunk { mlp { dropout: 0.1 } } instead of dropout: 0.1, beside its `hidden`"},
    {"torii.model.HistoryConfig", "pooling",
     "write recency {} instead of pooling: RECENCY, and mean {} or nothing instead of pooling: "
     "MEAN"},
    {"torii.model.HistoryConfig", "half_life",
     "write recency { half_life: 10 } instead of half_life: 10"},
    {"torii.model.ModelConfig", "temperature",
     "write scorer { inner_product { temperature: 0.07 } } instead of temperature: 0.07"},
    {"torii.model.ModelConfig", "loss_precision",
     "write loss { softmax { precision: BFLOAT16 } } instead of loss_precision: BFLOAT16"},
    {"torii.sharding.TableConfig", "weight_decay",
     "write l2: 0.002 instead of weight_decay: 0.001, twice the old value"},
    {"torii.sampler.SamplerConfig", "pairing",
     "write model { loss { softmax { pairing: B } } } instead of sampler { pairing: B }"},
    {"torii.sampler.SamplerConfig", "correct_in_batch",
     "write model { loss { softmax { uncorrected: 'in_batch' } } } instead of sampler { "
     "correct_in_batch: false }"},
    {"torii.sampler.SamplerConfig", "correct_uniform",
     "write model { loss { softmax { uncorrected: 'uniform' } } } instead of sampler { "
     "correct_uniform: false }"},
    {"torii.sampler.SamplerConfig", "correct_popularity",
     "write model { loss { softmax { uncorrected: 'popularity' } } } instead of sampler { "
     "correct_popularity: false }"},
};

}  // namespace

absl::string_view WhatToWriteInstead(const google::protobuf::Descriptor& type,
                                     const std::string& name) {
  for (const MovedField& field : kMovedFields) {
    if (field.message == type.full_name() && field.name == name) return field.instead;
  }
  return {};
}

}  // namespace torii::launch
