// Sums of many numbers in float64 and in one order, which their number alone decides.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"

namespace torii::kernels::cuda {

constexpr int kSumThreads = 256;
// Numbers that one block sums.
constexpr int64_t kSumPart = 8192;

inline int64_t SumParts(int64_t size) { return (size + kSumPart - 1) / kSumPart; }

constexpr size_t kSumSharedBytes = sizeof(double) * kSumThreads / kWarpLanes;

// The sum over the threads of a block of kSumThreads, in every thread. Uses kSumSharedBytes.
__device__ inline double SumOfBlock(double mine) {
  double* const of_warp = SharedMemory<double>();
  const double sum = WarpSum(mine);
  if (LaneOf() == 0) of_warp[WarpOfBlock()] = sum;
  __syncthreads();
  double total = 0;
  for (int warp = 0; warp < kSumThreads / kWarpLanes; ++warp) total += of_warp[warp];
  return total;
}

// partial[p] = the sum of terms(i) for the i of part p.
template <class Terms>
__global__ void SumPartsKernel(const Terms terms, int64_t size, double* partial) {
  const int64_t begin = BlockX() * kSumPart;
  const int64_t end = begin + kSumPart < size ? begin + kSumPart : size;
  double sum = 0;
  for (int64_t i = begin + Thread(); i < end; i += kSumThreads) sum += terms(i);
  sum = SumOfBlock(sum);
  if (Thread() == 0) partial[BlockX()] = sum;
}

// finish(total), by one thread.
template <class Finish>
__global__ void FinishSumKernel(const double* partial, int64_t parts, const Finish finish) {
  double sum = 0;
  for (int64_t p = Thread(); p < parts; p += kSumThreads) sum += partial[p];
  sum = SumOfBlock(sum);
  if (Thread() == 0) finish(sum);
}

// Calls finish(sum of terms(i) for i in [0, size)) on the device.
template <class Terms, class Finish>
void SumOf(const Terms& terms, int64_t size, const Finish& finish) {
  const int64_t parts = SumParts(size);
  const Scratch<double> partial(parts);
  Launch(SumPartsKernel<Terms>,
         {.blocks = parts,
          .threads = kSumThreads,
          .shared_bytes = kSumSharedBytes,
          .lanes = Lanes::kMeet},
         terms, size, partial.get());
  Launch(FinishSumKernel<Finish>,
         {.threads = kSumThreads, .shared_bytes = kSumSharedBytes, .lanes = Lanes::kMeet},
         partial.get(), parts, finish);
}

}  // namespace torii::kernels::cuda
