#include "model/sequence/time_major.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/host_tensors.h"

namespace torii::model {

TimeMajor InTimeMajorOrder(std::span<const int64_t> begins, const kernels::Device& device) {
  std::vector<int64_t> sequences;
  for (size_t i = 0; i + 1 < begins.size(); ++i) {
    if (begins[i + 1] > begins[i]) sequences.push_back(static_cast<int64_t>(i));
  }
  const auto length = [&](int64_t i) {
    return begins[static_cast<size_t>(i) + 1] - begins[static_cast<size_t>(i)];
  };
  std::stable_sort(sequences.begin(), sequences.end(),
                   [&](int64_t a, int64_t b) { return length(a) > length(b); });
  std::vector<int64_t> running, events;
  size_t still = sequences.size();
  for (int64_t t = 0; still > 0; ++t) {
    while (still > 0 && length(sequences[still - 1]) <= t) --still;
    if (still == 0) break;
    running.push_back(static_cast<int64_t>(still));
    for (size_t s = 0; s < still; ++s) {
      events.push_back(begins[static_cast<size_t>(sequences[s])] + t);
    }
  }
  return {kernels::TensorOf(std::span<const int64_t>(sequences), device),
          kernels::TensorOf(running), kernels::TensorOf(std::span<const int64_t>(events), device)};
}

}  // namespace torii::model
