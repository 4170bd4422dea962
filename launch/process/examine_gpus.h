// The driver, the plug-in for GPUs and the GPUs of this machine, as `torii doctor` sees them.
#pragma once

#include "kernels/cuda/plugin_table.h"
#include "launch/process/gpu_doctor.h"

namespace torii::launch {

// Opens the plug-in, where there is one: before anything asks LibTorch for a GPU.
CudaFacts ExamineGpus();

// What an opened plug-in tells, added to `facts`.
void AskPlugin(const kernels::CudaPlugin& plugin, CudaFacts* facts);

}  // namespace torii::launch
