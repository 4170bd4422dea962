// The table of kernels that the CPU fills. Each entry divides its work over the intra-op threads;
// no result depends on their number.
#pragma once

#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

const DeviceKernels& CpuKernels();

// Fill in the entries of one family each.
void AddSoftmax(DeviceKernels* table);
void AddLinear(DeviceKernels* table);
void AddPooledRows(DeviceKernels* table);
void AddTableRows(DeviceKernels* table);
void AddRandomRows(DeviceKernels* table);
void AddDenseWeights(DeviceKernels* table);
void AddRanking(DeviceKernels* table);

}  // namespace torii::kernels::cpu
