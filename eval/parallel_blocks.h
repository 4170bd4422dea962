// Work on users in blocks that the threads of this rank take one by one.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/parallel_for.h"
#include "base/split_evenly.h"

namespace torii::eval {

// Users of a block: a few dozen tiles of the kernels. Blocks end where a tile of 8 rows does; the
// last tile of a block is not full where an instruction set has tiles of 6.
constexpr int64_t kBlockUsers = 384;
constexpr int64_t kTileUsers = 8;

// Calls run(block) for blocks that cover `users`, in any order, from several threads. Blocks are of
// like size and as many for each thread, so that the threads end together.
template <typename Run>
void ParallelBlocks(Range users, const Run& run) {
  const int threads = at::get_num_threads();
  const int64_t rounds = (users.size() + kBlockUsers * threads - 1) / (kBlockUsers * threads);
  const int64_t tiles = (users.size() + kTileUsers - 1) / kTileUsers;
  const int blocks = static_cast<int>(std::min(tiles, rounds * threads));
  std::atomic<int> next = 0;
  ParallelFor(0, std::min(threads, blocks), 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      for (int block = next++; block < blocks; block = next++) {
        const Range part = SplitEvenly(tiles, blocks, block);
        run(Range{users.begin + part.begin * kTileUsers,
                  std::min(users.end, users.begin + part.end * kTileUsers)});
      }
    }
  });
}

}  // namespace torii::eval
