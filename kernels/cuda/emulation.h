// CUDA on the CPU, as far as the kernels of this folder use it, so that their text is tested where
// there is no GPU. Included by device.h where the compiler is not nvcc.
//
// Blocks run one after the other on the calling thread. A kernel whose threads never meet is a
// plain loop. Where threads meet, each is a fiber: a warp runs as far as it can before the next one
// starts, forward or backward through the block, so that a barrier left out shows; shared memory
// begins as NaN, and asynchronous copies land only when they are waited for. The program ends with a
// message where a meeting lacks a thread, or where the lanes of a warp meet for different things.
#pragma once

#include <math.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// No __shared__: a kernel asks for shared memory at its launch, and each block finds NaN there.

namespace torii::kernels::cuda {

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

namespace emulation {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};
// The built-in variables of the thread that runs.
struct Place {
  Index3 thread, block, block_dim, grid_dim;
};
inline constinit thread_local Place place{};

// Whether the threads of a block wait for one another, at a barrier or in an exchange of a warp.
enum class Lanes { kApart, kMeet };

struct Grid {
  int64_t blocks_x = 1, blocks_y = 1;
  int threads = 1;  // of a block: a multiple of 32
  size_t shared_bytes = 0;
  Lanes lanes = Lanes::kApart;
};
// Runs body(context) once for each thread of the grid.
void Run(const Grid& grid, void (*body)(const void*), const void* context);

// In which order the warps of a block run, and the threads of a kernel whose threads stay apart.
// Of the calling thread; results must not depend on it.
enum class Order { kForward, kBackward };
void SetOrder(Order order);

void* SharedMemory();
void MeetBlock();

// The kinds of meetings of a warp: all its lanes must come for the same one.
enum class Meeting : uint8_t { kWait, kShuffle, kVote, kLoadMatrix, kMultiply };
constexpr size_t kSlotBytes = 64;
// Gives what `mine` points to to the other lanes; returns what the lanes gave, kSlotBytes apart,
// valid until the next meeting of the warp but one.
const unsigned char* MeetWarp(Meeting kind, const void* mine, size_t bytes);

template <class T>
class OfLanes {
 public:
  explicit OfLanes(const unsigned char* slots) : slots_(slots) {}
  T operator[](int lane) const {
    T value;
    std::memcpy(&value, slots_ + static_cast<size_t>(lane) * kSlotBytes, sizeof(T));
    return value;
  }

 private:
  const unsigned char* slots_;
};
template <class T>
OfLanes<T> Exchange(Meeting kind, const T& mine) {
  static_assert(sizeof(T) <= kSlotBytes && std::is_trivially_copyable_v<T>);
  return OfLanes<T>(MeetWarp(kind, &mine, sizeof(T)));
}

// 16 bytes, which arrive when their group of copies is waited for.
void CopyLater(void* to, const void* from);
void CloseGroupOfCopies();
// Waits for all groups of the thread but the last `left`.
void WaitForCopies(int left);

inline int LaneOfWarp() { return static_cast<int>(place.thread.x % 32); }

}  // namespace emulation

inline void __syncthreads() { emulation::MeetBlock(); }
inline void __syncwarp() { emulation::Exchange(emulation::Meeting::kWait, 0); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulation::Exchange(emulation::Meeting::kShuffle, value)[emulation::LaneOfWarp() ^ mask];
}
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return emulation::Exchange(emulation::Meeting::kShuffle, value)[lane % 32];
}
inline bool __any_sync(unsigned, bool vote) {
  const auto votes = emulation::Exchange(emulation::Meeting::kVote, vote);
  for (int lane = 0; lane < 32; ++lane) {
    if (votes[lane]) return true;
  }
  return false;
}

inline unsigned __ballot_sync(unsigned, bool vote) {
  const auto votes = emulation::Exchange(emulation::Meeting::kVote, vote);
  unsigned of_lanes = 0;
  for (int lane = 0; lane < 32; ++lane) of_lanes |= unsigned{votes[lane]} << lane;
  return of_lanes;
}
// The lowest bit that is set, counted from 1.
inline int __ffs(int x) { return __builtin_ffs(x); }

// Threads run one at a time: a plain addition.
template <class T>
T atomicAdd(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to += value;
  return before;
}

}  // namespace torii::kernels::cuda

#define threadIdx (::torii::kernels::cuda::emulation::place.thread)
#define blockIdx (::torii::kernels::cuda::emulation::place.block)
#define blockDim (::torii::kernels::cuda::emulation::place.block_dim)
#define gridDim (::torii::kernels::cuda::emulation::place.grid_dim)
