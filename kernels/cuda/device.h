// What a kernel's text sees of a GPU, and nothing else: CUDA where nvcc compiles it, the emulation
// (emulation.h) where g++ does. Kernels are launched on the current stream of the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define TORII_UNROLL _Pragma("unroll")
#define TORII_ONE_BY_ONE _Pragma("unroll 1")
#else
#include "kernels/cuda/emulation.h"
#define TORII_UNROLL
#define TORII_ONE_BY_ONE
#endif

namespace torii::kernels::cuda {

inline constexpr int kWarpLanes = 32;
inline constexpr unsigned kAllLanes = 0xffffffff;

// Whether the threads of a block wait for one another. The emulation wants to know.
#ifdef __CUDACC__
enum class Lanes { kApart, kMeet };
#else
using emulation::Lanes;
#endif

struct LaunchShape {
  int64_t blocks = 1;    // none: nothing is launched
  int64_t blocks_y = 1;  // below 65536
  int threads = 256;     // of a block: a multiple of 32
  size_t shared_bytes = 0;
  Lanes lanes = Lanes::kApart;
};

// Blocks of `threads` for so many threads; kernels loop where there is more to do.
inline int64_t BlocksFor(int64_t wanted, int threads) {
  constexpr int64_t kMost = int64_t{1} << 14;
  const int64_t blocks = (wanted + threads - 1) / threads;
  return blocks < kMost ? blocks : kMost;
}

#ifdef __CUDACC__
cudaStream_t CurrentStream();
// Ends the program with a message where `error` is one: `what` failed.
void CheckCuda(cudaError_t error, const char* what);

template <class... Parameters, class... Arguments>
void Launch(void (*kernel)(Parameters...), const LaunchShape& shape,
            const Arguments&... arguments) {
  if (shape.blocks == 0) return;
  constexpr size_t kWithoutAsking = 48 << 10;
  if (shape.shared_bytes > kWithoutAsking) {
    CheckCuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(shape.shared_bytes)),
              "shared memory of a kernel");
  }
  const dim3 grid(static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.blocks_y));
  kernel<<<grid, static_cast<unsigned>(shape.threads), shape.shared_bytes, CurrentStream()>>>(
      static_cast<Parameters>(arguments)...);
  CheckCuda(cudaGetLastError(), "launch of a kernel");
}

// The shared memory that the launch asked for.
template <class T>
__device__ T* SharedMemory() {
  extern __shared__ __align__(128) unsigned char torii_shared_memory[];
  return reinterpret_cast<T*>(torii_shared_memory);
}
#else
template <class... Parameters, class... Arguments>
void Launch(void (*kernel)(Parameters...), const LaunchShape& shape,
            const Arguments&... arguments) {
  if (shape.blocks == 0) return;
  const auto body = [&] { kernel(static_cast<Parameters>(arguments)...); };
  using Body = decltype(body);
  emulation::Run(
      {shape.blocks, shape.blocks_y, shape.threads, shape.shared_bytes, shape.lanes},
      [](const void* context) { (*static_cast<Body*>(context))(); }, &body);
}

template <class T>
T* SharedMemory() {
  return static_cast<T*>(emulation::SharedMemory());
}
#endif

// ---- Where a thread stands ----

__device__ inline int Thread() { return static_cast<int>(threadIdx.x); }
__device__ inline int LaneOf() { return Thread() % kWarpLanes; }
__device__ inline int WarpOfBlock() { return Thread() / kWarpLanes; }
__device__ inline int64_t BlockX() { return static_cast<int64_t>(blockIdx.x); }
__device__ inline int64_t BlockThreads() { return static_cast<int64_t>(blockDim.x); }
// Of all blocks of a grid with one row of blocks.
__device__ inline int64_t GlobalThread() { return BlockX() * BlockThreads() + Thread(); }
__device__ inline int64_t GridThreads() { return static_cast<int64_t>(gridDim.x) * BlockThreads(); }
__device__ inline int64_t GlobalWarp() { return GlobalThread() / kWarpLanes; }
__device__ inline int64_t GridWarps() { return GridThreads() / kWarpLanes; }

// ---- Vectors of floats ----

// kVector floats that are read and written at once: they lie on a multiple of their size.
template <int kVector>
struct alignas(kVector * sizeof(float)) Floats {
  float at[kVector];
};

template <int kVector>
__device__ inline Floats<kVector> Load(const float* from) {
  return *reinterpret_cast<const Floats<kVector>*>(from);
}
template <int kVector>
__device__ inline void Store(float* to, const Floats<kVector>& x) {
#ifdef __CUDACC__
  // Left to itself the compiler may take the vector apart.
  if constexpr (kVector == 4) {
    *reinterpret_cast<float4*>(to) = make_float4(x.at[0], x.at[1], x.at[2], x.at[3]);
    return;
  }
#endif
  *reinterpret_cast<Floats<kVector>*>(to) = x;
}

// Of what is read once: leaves the multiprocessor's cache to what is read often.
__device__ inline Floats<4> LoadPastCache(const float* from) {
#ifdef __CUDACC__
  const float4 x = __ldcg(reinterpret_cast<const float4*>(from));
  return {{x.x, x.y, x.z, x.w}};
#else
  return Load<4>(from);
#endif
}

// Whether rows of `width` floats that begin at `rows`, `stride` floats apart, are whole vectors of
// four.
inline bool AreVectors(const float* rows, int64_t width, int64_t stride) {
  return width % 4 == 0 && stride % 4 == 0 && reinterpret_cast<uintptr_t>(rows) % 16 == 0;
}

// ---- Over a warp ----

// The same bits in every lane: additions in one order.
template <class T>
__device__ inline T WarpSum(T x) {
  for (int step = kWarpLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

// The greatest number, whatever is NaN left out.
__device__ inline float WarpMost(float x) {
  for (int step = kWarpLanes / 2; step > 0; step /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  }
  return x;
}

}  // namespace torii::kernels::cuda
