// A plug-in of another version, which the program must refuse.
#include "kernels/cuda/plugin_table.h"

extern "C" const torii::kernels::CudaPlugin* torii_cuda_plugin() {
  static const torii::kernels::CudaPlugin kPlugin = {.version = -1};
  return &kPlugin;
}
