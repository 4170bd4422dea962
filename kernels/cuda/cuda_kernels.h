// The kernels of a GPU as a table: each function fills its entries. The plug-in compiles them with
// nvcc; here g++ compiles the same text over the emulation (device.h).
#pragma once

#include "kernels/device_kernels.h"

namespace torii::kernels::cuda {

const DeviceKernels& CudaKernels();

void AddSoftmax(DeviceKernels* table);
void AddLinear(DeviceKernels* table);
void AddPooledRows(DeviceKernels* table);
void AddGroups(DeviceKernels* table);
void AddTableRows(DeviceKernels* table);
void AddRandomRows(DeviceKernels* table);
void AddDenseWeights(DeviceKernels* table);
void AddRanking(DeviceKernels* table);

}  // namespace torii::kernels::cuda
