#include "kernels/cuda/cuda_kernels.h"

namespace torii::kernels::cuda {

const DeviceKernels& CudaKernels() {
  static const DeviceKernels kTable = [] {
    DeviceKernels table{};
    AddTableRows(&table);
    AddRandomRows(&table);
    AddDenseWeights(&table);
    return table;
  }();
  return kTable;
}

}  // namespace torii::kernels::cuda
