#include "kernels/cuda/sort.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"

#ifdef __CUDACC__
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>
#else
#include <algorithm>
#include <numeric>
#include <vector>
#endif

namespace torii::kernels::cuda {

#ifdef __CUDACC__

// CUB first says how many bytes it needs, then works in them.
void SortPairs(const SortArgs& args) {
  if (args.count == 0) return;
  const auto sort = [&](void* memory, size_t& bytes) {
    CheckCuda(cub::DeviceRadixSort::SortPairs(
                  memory, bytes, args.keys, args.sorted_keys, args.values, args.sorted_values,
                  static_cast<int>(args.count), 0, args.bits, CurrentStream()),
              "sort");
  };
  size_t bytes = 0;
  sort(nullptr, bytes);
  const Scratch<unsigned char> memory(static_cast<int64_t>(bytes));
  sort(memory.get(), bytes);
}

void RunningSums(const uint32_t* x, int64_t count, uint32_t* sums) {
  if (count == 0) return;
  const auto add = [&](void* memory, size_t& bytes) {
    CheckCuda(cub::DeviceScan::InclusiveSum(memory, bytes, x, sums, static_cast<int>(count),
                                            CurrentStream()),
              "running sums");
  };
  size_t bytes = 0;
  add(nullptr, bytes);
  const Scratch<unsigned char> memory(static_cast<int64_t>(bytes));
  add(memory.get(), bytes);
}

#else

void SortPairs(const SortArgs& args) {
  std::vector<int64_t> order(static_cast<size_t>(args.count));
  std::iota(order.begin(), order.end(), 0);
  // Only the bits that the caller names: too few of them show in tests.
  const uint32_t mask = args.bits >= 32 ? ~uint32_t{0} : (uint32_t{1} << args.bits) - 1;
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return (args.keys[a] & mask) < (args.keys[b] & mask);
  });
  for (size_t i = 0; i < order.size(); ++i) {
    args.sorted_keys[i] = args.keys[order[i]];
    args.sorted_values[i] = args.values[order[i]];
  }
}

void RunningSums(const uint32_t* x, int64_t count, uint32_t* sums) {
  std::partial_sum(x, x + count, sums);
}

#endif

}  // namespace torii::kernels::cuda
