#include "kernels/cuda/cuda_kernels.h"

namespace torii::kernels::cuda {

const DeviceKernels& CudaKernels() {
  static const DeviceKernels kTable = [] {
    DeviceKernels table{};
    AddSoftmax(&table);
    AddLinear(&table);
    AddPooledRows(&table);
    AddGroups(&table);
    AddTableRows(&table);
    AddRandomRows(&table);
    AddDenseWeights(&table);
    AddRanking(&table);
    return table;
  }();
  return kTable;
}

}  // namespace torii::kernels::cuda
