#include "kernels/cuda/ranking/best_items.h"

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/ranking/packed_vectors.h"
#include "kernels/cuda/ranking/ranking_entries.h"

namespace torii::kernels::cuda {
namespace {

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

// How a search is divided, so that its keys fit into kMostKeys.
struct Sizes {
  int64_t rows;   // searched at a time: whole tiles
  int64_t chunk;  // the most items of a step: whole tiles
  int64_t stride;
};
constexpr int64_t kMostKeys = int64_t{40} << 20;

Sizes SizesOf(int64_t rows, int64_t n, int64_t k) {
  constexpr int64_t kFewestItems = 8192, kMostItems = 65536, kMostRows = 4096;
  int64_t stride = 2;
  while (stride < k) stride *= 2;
  const int64_t fit = kMostKeys / (kFewestItems + 2 * stride) / kTile * kTile;
  const int64_t at_a_time = Min(Max(Min(fit, kMostRows), kTile), TilesOf(rows) * kTile);
  const int64_t chunk = (kMostKeys / at_a_time - 2 * stride) / kTile * kTile;
  return {at_a_time, Min(Max(Min(chunk, kMostItems), kFewestItems), TilesOf(n) * kTile), stride};
}

// The memory of a search.
class Search {
 public:
  Search(const Sizes& sizes, int64_t k)
      : sizes_(sizes),
        k_(static_cast<int>(k)),
        best_(sizes.rows * sizes.stride),
        next_(sizes.rows * sizes.stride),
        found_(sizes.rows * sizes.chunk),
        num_best_(sizes.rows),
        num_found_(sizes.rows),
        least_(sizes.rows) {}

  void Run(const float* packed_q, int64_t rows, const ItemVectors& items, const HiddenItems& hidden,
           const TopKLists& lists) const {
    // Few items first: their limits leave out most of the many that follow.
    constexpr int64_t kFirstTiles = 8, kGrowth = 4;
    BestRows now{.rows = rows,
                 .k = k_,
                 .stride = sizes_.stride,
                 .capacity = sizes_.chunk,
                 .best = best_.get(),
                 .next = next_.get(),
                 .num_best = num_best_.get(),
                 .found = found_.get(),
                 .num_found = num_found_.get(),
                 .least = least_.get()};
    BeginBest(now);
    const int64_t tiles = TilesOf(items.n);
    for (int64_t first = 0; first < tiles;) {
      const int64_t step = Min(Max(kFirstTiles, kGrowth * first), sizes_.chunk / kTile);
      const int64_t end = Min(first + step, tiles);
      FindAbove(packed_q, items, first, end, now);
      SelectBest(now, hidden);
      Key* const best = now.best;
      now.best = now.next;
      now.next = best;
      first = end;
    }
    SortBest(now, lists);
  }

 private:
  const Sizes sizes_;
  const int k_;
  const Scratch<Key> best_, next_, found_;
  const Scratch<int> num_best_, num_found_;
  const Scratch<float> least_;
};

}  // namespace

void TopK(const float* q, int64_t rows, const ItemVectors& items, const HiddenItems& hidden,
          const TopKLists& lists) {
  if (rows == 0) return;
  if (items.n == 0) {
    ClearMemory(lists.length, static_cast<size_t>(rows) * sizeof(int64_t));
    return;
  }
  const int64_t k = Min(lists.k, items.n);
  const Sizes sizes = SizesOf(rows, items.n, k);
  const Scratch<float> packed_q(PackedFloats(rows, items.dim));
  PackQueries(q, rows, items.dim, packed_q.get());
  const Search search(sizes, k);
  for (int64_t first = 0; first < rows; first += sizes.rows) {
    search.Run(packed_q.get() + PackedFloats(first, items.dim), Min(sizes.rows, rows - first),
               items, {hidden.begin + first, hidden.items},
               {lists.k, lists.items + first * lists.k, lists.scores + first * lists.k,
                lists.length + first});
  }
}

}  // namespace torii::kernels::cuda
