// Sequences pooled to weighted means of their rows.
#pragma once

#include <memory>

#include "model/sequence/sequence_encoder.h"

namespace torii::model {

std::unique_ptr<SequenceEncoder> MakeMeanSequence(const kernels::Device& device);
std::unique_ptr<SequenceEncoder> MakeRecencySequence(const RecencySequence& config,
                                                     const kernels::Device& device);

}  // namespace torii::model
