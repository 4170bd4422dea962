// Positions grouped by their keys: a stable sort, the places where the key changes, and their number.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/sort.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

LaunchShape ShapeFor(int64_t count) {
  return {.blocks = BlocksFor(count, kThreads), .threads = kThreads};
}

__global__ void NumberKeysKernel(const int64_t* keys, int64_t count, uint32_t* short_keys,
                                 uint32_t* positions) {
  for (int64_t i = GlobalThread(); i < count; i += GridThreads()) {
    short_keys[i] = static_cast<uint32_t>(keys[i]);
    positions[i] = static_cast<uint32_t>(i);
  }
}

__global__ void MarkFirstKernel(const uint32_t* sorted, int64_t count, uint32_t* is_first) {
  for (int64_t i = GlobalThread(); i < count; i += GridThreads()) {
    is_first[i] = i == 0 || sorted[i] != sorted[i - 1] ? 1 : 0;
  }
}

// groups_up_to[i]: how many groups begin in [0, i].
__global__ void WriteGroupsKernel(const GroupArgs args, const uint32_t* sorted,
                                  const uint32_t* positions, const uint32_t* groups_up_to) {
  for (int64_t i = GlobalThread(); i < args.count; i += GridThreads()) {
    const auto position = static_cast<int64_t>(positions[i]);
    const int64_t group = static_cast<int64_t>(groups_up_to[i]) - 1;
    args.order[i] = position;
    if (args.group_of != nullptr) args.group_of[position] = group;
    if (i == 0 || groups_up_to[i] != groups_up_to[i - 1]) {
      args.distinct[group] = static_cast<int64_t>(sorted[i]);
      args.begin[group] = i;
    }
    if (i + 1 == args.count) {
      args.begin[group + 1] = args.count;
      *args.groups = group + 1;
    }
  }
}

void Group(const GroupArgs& args) {
  if (args.count == 0) {
    ClearMemory(args.begin, sizeof(int64_t));
    ClearMemory(args.groups, sizeof(int64_t));
    return;
  }
  const LaunchShape shape = ShapeFor(args.count);
  const Scratch<uint32_t> keys(args.count), positions(args.count), sorted(args.count),
      order(args.count);
  Launch(NumberKeysKernel, shape, args.keys, args.count, keys.get(), positions.get());
  SortPairs({.keys = keys.get(),
             .values = positions.get(),
             .count = args.count,
             .bits = BitsBelow(args.num_keys),
             .sorted_keys = sorted.get(),
             .sorted_values = order.get()});
  // What the unsorted keys and positions occupied is free now.
  uint32_t* const is_first = keys.get();
  uint32_t* const groups_up_to = positions.get();
  Launch(MarkFirstKernel, shape, sorted.get(), args.count, is_first);
  RunningSums(is_first, args.count, groups_up_to);
  Launch(WriteGroupsKernel, shape, args, sorted.get(), order.get(), groups_up_to);
}

__global__ void FindBeginsKernel(const uint32_t* sorted, int64_t count, int64_t bound,
                                 int64_t* begin) {
  for (int64_t k = GlobalThread(); k <= bound; k += GridThreads()) {
    int64_t low = 0, high = count;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (static_cast<int64_t>(sorted[middle]) < k) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    begin[k] = low;
  }
}

}  // namespace

void FindBegins(const uint32_t* sorted, int64_t count, int64_t bound, int64_t* begin) {
  Launch(FindBeginsKernel, ShapeFor(bound + 1), sorted, count, bound, begin);
}

void AddGroups(DeviceKernels* table) { table->group_by_key = Group; }

}  // namespace torii::kernels::cuda
