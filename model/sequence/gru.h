// A gated recurrent unit over a sequence (Cho et al., EMNLP 2014), with the gates of LibTorch:
//   r = sigmoid(W_r x + b_r + U_r h + c_r)
//   z = sigmoid(W_z x + b_z + U_z h + c_z)
//   g = tanh(W_g x + b_g + r * (U_g h + c_g))
//   h <- (1 - z) * g + z * h
// The result is the state after the newest event. Before the oldest one it is a learned vector,
// which starts at 0 and which an empty sequence gives.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/sequence/sequence_encoder.h"

namespace torii::model {

std::unique_ptr<SequenceEncoder> MakeGruSequence(const GruSequence& config, const std::string& name,
                                                 int64_t width, DenseParameters& parameters);

}  // namespace torii::model
