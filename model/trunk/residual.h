// x <- x + W2 activation(W1 LayerNorm(x) + b1) + b2, block by block (He et al., 2016, with the norm
// before the layers as in Xiong et al., 2020).
#pragma once

#include <memory>

#include "model/trunk/trunk.h"

namespace torii::model {

std::unique_ptr<Trunk> MakeResidualTrunk(const ResidualTrunk& config, const TrunkPlace& place,
                                         DenseParameters& parameters);

}  // namespace torii::model
