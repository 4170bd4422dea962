// Ranking in the table of the CPU.
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>

#include "base/parallel_for.h"
#include "base/split_evenly.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/ranking/score_count.h"
#include "kernels/cpu/ranking/score_top_k.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

// Query rows that a thread takes at a time: a few dozen tiles. Blocks end where a tile of 8 rows
// does; the last tile of a block is not full where an instruction set has tiles of 6.
constexpr int64_t kRowsOfABlock = 384;
constexpr int64_t kRowsOfATile = 8;
constexpr int64_t kGrainPanels = 16, kGrainPairs = 256, kGrainRows = 256;

// Calls run(rows) for blocks that cover [0, rows), in any order, from several threads: equal
// blocks, equally many per thread, so that the threads end together.
template <typename Run>
void ParallelBlocks(int64_t rows, const Run& run) {
  const int threads = at::get_num_threads();
  const int64_t rounds = (rows + kRowsOfABlock * threads - 1) / (kRowsOfABlock * threads);
  const int64_t tiles = (rows + kRowsOfATile - 1) / kRowsOfATile;
  const int blocks = static_cast<int>(std::min(tiles, rounds * threads));
  std::atomic<int> next = 0;
  ParallelFor(0, std::min(threads, blocks), 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      for (int block = next++; block < blocks; block = next++) {
        const Range part = SplitEvenly(tiles, blocks, block);
        run(Range{part.begin * kRowsOfATile, std::min(rows, part.end * kRowsOfATile)});
      }
    }
  });
}

// The kernels only read what a view shows.
PackedVectors ViewOf(const ItemVectors& items) {
  return PackedVectors::ViewOf(const_cast<float*>(items.packed), items.n, items.dim);
}

int64_t Floats(int64_t n, int64_t dim) { return PackedFloats(n, dim); }

void Pack(const float* vectors, int64_t n, int64_t dim, float* packed) {
  PackedVectors panels = PackedVectors::ViewOf(packed, n, dim);
  ParallelFor(0, panels.num_panels(), kGrainPanels,
              [&](int64_t begin, int64_t end) { panels.Pack(vectors, begin, end); });
}

void ScorePairs(const float* q, const ItemVectors& items, const int64_t* q_row, const int64_t* item,
                int64_t pairs, float* scores) {
  ParallelFor(0, pairs, kGrainPairs, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      scores[p] = Score(q + q_row[p] * items.dim, items.vectors + item[p] * items.dim, items.dim);
    }
  });
}

void CountAll(const float* q, int64_t rows, const ItemVectors& items, const Thresholds& thresholds,
              const HiddenItems& hidden, int64_t* counts) {
  const PackedVectors packed = ViewOf(items);
  ParallelBlocks(rows, [&](Range block) {
    CountAbove(q + block.begin * items.dim, block.size(), packed,
               {thresholds.begin + block.begin, thresholds.score, thresholds.tie_before},
               {hidden.begin + block.begin, hidden.items}, counts);
  });
}

void TopK(const float* q, int64_t rows, const ItemVectors& items, const HiddenItems& hidden,
          const TopKLists& lists) {
  const PackedVectors packed = ViewOf(items);
  ParallelBlocks(rows, [&](Range block) {
    TopKOfRows(q + block.begin * items.dim, block.size(), packed,
               {hidden.begin + block.begin, hidden.items},
               {lists.k, lists.items + block.begin * lists.k, lists.scores + block.begin * lists.k,
                lists.length + block.begin});
  });
}

// Magnitudes are in the order of their bits, with those that are not finite last.
double LargestMagnitude(const float* x, int64_t n) {
  uint32_t largest[4] = {};
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFU;
    largest[i % 4] = std::max(largest[i % 4], magnitude);
  }
  const auto all = std::bit_cast<float>(*std::max_element(largest, largest + 4));
  return std::isfinite(all) ? static_cast<double>(all) : std::numeric_limits<double>::infinity();
}

void LargestMagnitudes(const float* x, int64_t rows, int64_t dim, double* largest) {
  ParallelFor(0, rows, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) largest[i] = LargestMagnitude(x + i * dim, dim);
  });
}

}  // namespace

void AddRanking(DeviceKernels* table) {
  table->packed_floats = Floats;
  table->pack_items = Pack;
  table->score_pairs = ScorePairs;
  table->count_above = CountAll;
  table->top_k = TopK;
  table->largest_magnitudes = LargestMagnitudes;
}

}  // namespace torii::kernels::cpu
