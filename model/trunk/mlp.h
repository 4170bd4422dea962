// x <- activation(W x + b), layer by layer.
#pragma once

#include <memory>

#include "model/trunk/trunk.h"

namespace torii::model {

std::unique_ptr<Trunk> MakeMlpTrunk(const MlpTrunk& config, const TrunkPlace& place,
                                    DenseParameters& parameters);

}  // namespace torii::model
