#include "comm/reduce_in_rank_order.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "base/check.h"

namespace torii::comm {
namespace {

template <typename T>
T Add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  } else {
    return a + b;
  }
}

template <typename T>
T Min(T a, T b) {
  return b < a || b != b ? b : a;  // b != b: NaN
}

template <typename T>
T Max(T a, T b) {
  return b > a || b != b ? b : a;
}

// Block by block, so that the partial results stay in the L1 cache.
template <typename T, T (*kCombine)(T, T)>
void Reduce(std::span<const void* const> inputs, std::span<void* const> outputs, int64_t begin,
            int64_t end) {
  constexpr int64_t kBlock = 512;
  std::array<T, kBlock> partial;
  for (int64_t start = begin; start < end; start += kBlock) {
    const int64_t n = std::min(kBlock, end - start);
    std::memcpy(partial.data(), static_cast<const T*>(inputs[0]) + start,
                static_cast<size_t>(n) * sizeof(T));
    for (size_t r = 1; r < inputs.size(); ++r) {
      const T* in = static_cast<const T*>(inputs[r]) + start;
      T* out = partial.data();
      for (int64_t i = 0; i < n; ++i) {
        out[i] = kCombine(out[i], in[i]);
      }
    }
    for (void* output : outputs) {
      std::memcpy(static_cast<T*>(output) + start, partial.data(),
                  static_cast<size_t>(n) * sizeof(T));
    }
  }
}

template <typename T>
void ReduceTyped(ReduceOp op, std::span<const void* const> inputs, std::span<void* const> outputs,
                 int64_t begin, int64_t end) {
  switch (op) {
    case ReduceOp::kSum:
      return Reduce<T, Add<T>>(inputs, outputs, begin, end);
    case ReduceOp::kMin:
      return Reduce<T, Min<T>>(inputs, outputs, begin, end);
    case ReduceOp::kMax:
      return Reduce<T, Max<T>>(inputs, outputs, begin, end);
  }
}

}  // namespace

void ReduceInRankOrder(at::ScalarType dtype, ReduceOp op, std::span<const void* const> inputs,
                       std::span<void* const> outputs, int64_t begin, int64_t end) {
  switch (dtype) {
    case at::kFloat:
      return ReduceTyped<float>(op, inputs, outputs, begin, end);
    case at::kDouble:
      return ReduceTyped<double>(op, inputs, outputs, begin, end);
    case at::kLong:
      return ReduceTyped<int64_t>(op, inputs, outputs, begin, end);
    case at::kInt:
      return ReduceTyped<int32_t>(op, inputs, outputs, begin, end);
    case at::kByte:
      return ReduceTyped<uint8_t>(op, inputs, outputs, begin, end);
    default:
      TORII_CHECK(false, "no reduction for ", c10::toString(dtype));
  }
}

}  // namespace torii::comm
