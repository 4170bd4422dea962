// The inner product of the vectors over a fixed or learned temperature; on vectors of length 1 it
// is cosine similarity.
#pragma once

#include <memory>

#include "model/dense_parameters.h"
#include "model/scorer/scorer.h"

namespace torii::model {

// q . v / temperature.
std::unique_ptr<Scorer> MakeInnerProduct(double temperature);

// The largest 1 / tau that is learned: a larger one made CLIP's training unstable (Radford et al.,
// ICML 2021).
inline constexpr double kMostInverseTemperature = 100;

// q . v * exp(theta) with the weight theta = log(1 / tau), which starts at log(1 / temperature),
// never exceeds log(100) and has no weight decay. Borrows `parameters`.
std::unique_ptr<Scorer> MakeInnerProductOfLearnedTemperature(double temperature,
                                                             DenseParameters& parameters);

}  // namespace torii::model
