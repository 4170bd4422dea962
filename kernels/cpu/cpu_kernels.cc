#include "kernels/cpu/cpu_kernels.h"

namespace torii::kernels::cpu {

const DeviceKernels& CpuKernels() {
  static const DeviceKernels kTable = [] {
    DeviceKernels table{};
    AddSoftmax(&table);
    AddLinear(&table);
    AddPooledRows(&table);
    AddTableRows(&table);
    AddRandomRows(&table);
    AddDenseWeights(&table);
    AddRanking(&table);
    return table;
  }();
  return kTable;
}

}  // namespace torii::kernels::cpu
