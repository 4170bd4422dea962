// What one instruction set offers for the optimizers of dense weights. Included by the kernel
// sources, so it includes nothing that has inline functions (vector_lanes.h).
#pragma once

#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

struct WeightsVariant {
  const char* name;
  // One step of the weights [begin, end).
  void (*update)(const WeightsArgs& args, int64_t begin, int64_t end);
};

// One definition in each of weights_{baseline,avx2,avx512}.cc; null where the compiler has no such
// target.
extern const WeightsVariant* const kWeightsBaseline;
extern const WeightsVariant* const kWeightsAvx2;
extern const WeightsVariant* const kWeightsAvx512;

}  // namespace torii::kernels::cpu
