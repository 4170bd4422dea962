// at::parallel_for, in a form that ThreadSanitizer can follow. Only for layers that link LibTorch.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

#if defined(__SANITIZE_THREAD__)
#include <thread>
#include <vector>
#endif

namespace torii {

// body(from, to) for ranges of at least `grain` that cover [begin, end), one for each intra-op
// thread at most, all of them at the same time. `body` must not throw.
template <typename Body>
void ParallelFor(int64_t begin, int64_t end, int64_t grain, const Body& body) {
#if defined(__SANITIZE_THREAD__)
  // OpenMP's library is not instrumented: its forks and joins would look like races. Plain threads
  // do the same.
  const int64_t most = (end - begin + grain - 1) / std::max<int64_t>(1, grain);
  const int64_t parts = std::min<int64_t>(most, at::get_num_threads());
  if (parts <= 1) {
    if (begin < end) body(begin, end);
    return;
  }
  const int64_t size = (end - begin + parts - 1) / parts;
  std::vector<std::thread> threads;
  for (int64_t from = begin; from < end; from += size) {
    threads.emplace_back([&body, from, to = std::min(from + size, end)] { body(from, to); });
  }
  for (std::thread& thread : threads) thread.join();
#else
  at::parallel_for(begin, end, grain, body);
#endif
}

}  // namespace torii
