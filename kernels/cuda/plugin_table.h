// What libtorii_cuda.so gives the program: one table of functions, returned by its one symbol. Only
// plain structs and pointers, so that neither side needs the other's libraries.
#pragma once

#include <cstdint>

#include "kernels/device_kernels.h"

namespace torii::kernels {

// Of this file and device_kernels.h: raised with every change of them.
inline constexpr int kCudaPluginVersion = 3;
// extern "C" const CudaPlugin* torii_cuda_plugin();
inline constexpr char kCudaPluginSymbol[] = "torii_cuda_plugin";

struct GpuProperties {
  char name[256];
  char uuid[16];  // bytes
  int compute_major, compute_minor;
  int multiprocessors;
};

// null, or what failed in the words of CUDA, which last as long as the program.
using CudaFailure = const char*;

struct CudaPlugin {
  int version;           // the first field, whatever else changes: kCudaPluginVersion
  int compiled_runtime;  // CUDA's version, 1000 * major + 10 * minor
  const DeviceKernels* kernels;
  const void* nccl;  // NCCL's functions (comm::NcclLibrary), or null: built without

  CudaFailure (*versions)(int* driver, int* runtime);
  // Without a driver or a GPU: a failure, not the end of the program.
  CudaFailure (*count_gpus)(int* gpus);
  CudaFailure (*properties)(int gpu, GpuProperties* properties);
  CudaFailure (*memory)(int gpu, int64_t* free_bytes, int64_t* total_bytes);
  // The GPU on which the calling thread works from now on.
  CudaFailure (*use_gpu)(int gpu);

  // The stream of the calling thread, a cudaStream_t: kernels and LibTorch's operations go there.
  void* (*current_stream)();
  // Marks in the work of streams, cudaEvent_t without times.
  CudaFailure (*new_event)(void** event);
  void (*delete_event)(void* event);
  CudaFailure (*record_event)(void* event);  // behind the work of the current stream
  CudaFailure (*is_event_done)(void* event, bool* done);
  CudaFailure (*wait_for_event)(void* event);  // the current stream, not the caller
};

}  // namespace torii::kernels
