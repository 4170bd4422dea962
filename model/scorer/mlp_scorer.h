// A small network over (u, v, u * v): linear layers with ReLU between them, the last one to a
// single score.
#pragma once

#include <cstdint>
#include <memory>

#include "model/dense_parameters.h"
#include "model/scorer/scorer.h"
#include "model/scorer/scorer.pb.h"

namespace torii::model {

// The width of the only hidden layer where none is given.
inline constexpr int kDefaultScorerWidth = 64;

// Registers the weights "scorer.<layer>.weight" and ".bias" in `parameters`, which is borrowed.
std::unique_ptr<Scorer> MakeMlpScorer(const MlpScorer& config, int64_t dim,
                                      DenseParameters& parameters);

}  // namespace torii::model
