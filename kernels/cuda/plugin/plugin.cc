// The plug-in libtorii_cuda.so: its table, and what the kernels need of CUDA and of LibTorch's
// allocator. Links none of Torii's layers.
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/plugin_table.h"

// NCCL's functions, where they are part of the plug-in.
extern "C" __attribute__((weak)) const void* torii_nccl_library();

namespace torii::kernels::cuda {

// What a kernel's host code calls (device.h).
cudaStream_t CurrentStream() { return c10::cuda::getCurrentCUDAStream().stream(); }

void CheckCuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "torii: CUDA: %s: %s\n", what, cudaGetErrorString(error));
  std::fflush(nullptr);
  std::_Exit(70);  // as an internal error: other threads still run
}

void* AllocateScratch(size_t bytes) {
  return c10::cuda::CUDACachingAllocator::raw_alloc(std::max<size_t>(bytes, 1));
}
void FreeScratch(void* memory) { c10::cuda::CUDACachingAllocator::raw_delete(memory); }
void ClearMemory(void* memory, size_t bytes) {
  CheckCuda(cudaMemsetAsync(memory, 0, bytes, CurrentStream()), "clearing memory");
}

namespace {

CudaFailure FailureOf(cudaError_t error) {
  if (error == cudaSuccess) return nullptr;
  (void)cudaGetLastError();  // the error has been told: the next call starts without it
  return cudaGetErrorString(error);
}

CudaFailure Versions(int* driver, int* runtime) {
  const CudaFailure failure = FailureOf(cudaDriverGetVersion(driver));
  return failure != nullptr ? failure : FailureOf(cudaRuntimeGetVersion(runtime));
}

CudaFailure CountGpus(int* gpus) {
  *gpus = 0;
  return FailureOf(cudaGetDeviceCount(gpus));
}

CudaFailure Properties(int gpu, GpuProperties* out) {
  cudaDeviceProp found;
  const CudaFailure failure = FailureOf(cudaGetDeviceProperties(&found, gpu));
  if (failure != nullptr) return failure;
  static_assert(sizeof(found.name) == sizeof(out->name) &&
                sizeof(found.uuid.bytes) == sizeof(out->uuid));
  std::memcpy(out->name, found.name, sizeof(out->name));
  std::memcpy(out->uuid, found.uuid.bytes, sizeof(out->uuid));
  out->compute_major = found.major;
  out->compute_minor = found.minor;
  out->multiprocessors = found.multiProcessorCount;
  return nullptr;
}

CudaFailure Memory(int gpu, int64_t* free_bytes, int64_t* total_bytes) {
  int before = 0;
  CudaFailure failure = FailureOf(cudaGetDevice(&before));
  if (failure == nullptr) failure = FailureOf(cudaSetDevice(gpu));
  if (failure != nullptr) return failure;
  size_t free = 0, total = 0;
  failure = FailureOf(cudaMemGetInfo(&free, &total));
  *free_bytes = static_cast<int64_t>(free);
  *total_bytes = static_cast<int64_t>(total);
  (void)cudaSetDevice(before);
  return failure;
}

CudaFailure UseGpu(int gpu) { return FailureOf(cudaSetDevice(gpu)); }

void* Stream() { return CurrentStream(); }

cudaEvent_t EventOf(void* event) { return static_cast<cudaEvent_t>(event); }

CudaFailure NewEvent(void** event) {
  cudaEvent_t made = nullptr;
  const CudaFailure failure = FailureOf(cudaEventCreateWithFlags(&made, cudaEventDisableTiming));
  *event = made;
  return failure;
}

void DeleteEvent(void* event) { (void)cudaEventDestroy(EventOf(event)); }

CudaFailure RecordEvent(void* event) {
  return FailureOf(cudaEventRecord(EventOf(event), CurrentStream()));
}

CudaFailure IsEventDone(void* event, bool* done) {
  const cudaError_t error = cudaEventQuery(EventOf(event));
  *done = error == cudaSuccess;
  return error == cudaErrorNotReady ? nullptr : FailureOf(error);
}

CudaFailure WaitForEvent(void* event) {
  return FailureOf(cudaStreamWaitEvent(CurrentStream(), EventOf(event), 0));
}

}  // namespace
}  // namespace torii::kernels::cuda

extern "C" __attribute__((visibility("default"))) const torii::kernels::CudaPlugin*
torii_cuda_plugin() {
  namespace cuda = torii::kernels::cuda;
  static const torii::kernels::CudaPlugin kPlugin = {
      .version = torii::kernels::kCudaPluginVersion,
      .compiled_runtime = CUDART_VERSION,
      .kernels = &cuda::CudaKernels(),
      .nccl = torii_nccl_library != nullptr ? torii_nccl_library() : nullptr,
      .versions = cuda::Versions,
      .count_gpus = cuda::CountGpus,
      .properties = cuda::Properties,
      .memory = cuda::Memory,
      .use_gpu = cuda::UseGpu,
      .current_stream = cuda::Stream,
      .new_event = cuda::NewEvent,
      .delete_event = cuda::DeleteEvent,
      .record_event = cuda::RecordEvent,
      .is_event_done = cuda::IsEventDone,
      .wait_for_event = cuda::WaitForEvent,
  };
  return &kPlugin;
}
