#include <algorithm>

#include "kernels/cuda/device.h"
#include "kernels/cuda/softmax/softmax_steps.h"
#include "kernels/cuda/sort.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

LaunchShape ShapeFor(int64_t count) {
  return {.blocks = BlocksFor(count, kThreads), .threads = kThreads};
}

int64_t RoundUp(int64_t n) { return (n + kRowTile - 1) / kRowTile * kRowTile; }

// x [n, dim] times `scale`, zeros around it.
struct PackArgs {
  const float* x;
  int64_t n;
  float scale;
  Bf16Pair* out;  // [padded_n, 1 << pair_bits]
  int64_t padded_n;
};

// Two numbers a thread.
__device__ void Pack(const PackArgs& args, int64_t dim, int pair_bits) {
  const int64_t pairs = int64_t{1} << pair_bits;
  for (int64_t i = GlobalThread(); i < args.padded_n << pair_bits; i += GridThreads()) {
    const int64_t row = i >> pair_bits, d = (i & (pairs - 1)) * 2;
    const float* const x = args.x + row * dim + d;
    const bool has_first = row < args.n && d < dim, has_second = row < args.n && d + 1 < dim;
    args.out[i] = PackBf16(has_first ? x[0] * args.scale : 0, has_second ? x[1] * args.scale : 0);
  }
}

// Pairs to hide: of every row's query and its positive, and of the queries and their excluded
// columns.
struct PairLists {
  int64_t queries;
  const int64_t* row_begin;  // null: row n is that of query n
  const int64_t* positive;
  const int64_t* excluded_begin;  // null: nothing is excluded
  const int64_t* excluded;
};

// visit(query, column, row) for all pairs; row -1: the column is excluded. A warp has a query.
template <class Visit>
__device__ void ForPairs(const PairLists& lists, const Visit& visit) {
  if (lists.row_begin == nullptr) {
    for (int64_t i = GlobalThread(); i < lists.queries; i += GridThreads()) {
      visit(i, lists.positive[i], i);
    }
    if (lists.excluded_begin == nullptr) return;
  }
  for (int64_t i = GlobalWarp(); i < lists.queries; i += GridWarps()) {
    if (lists.row_begin != nullptr) {
      const int64_t end = lists.row_begin[i + 1];
      for (int64_t n = lists.row_begin[i] + LaneOf(); n < end; n += kWarpLanes) {
        visit(i, lists.positive[n], n);
      }
    }
    if (lists.excluded_begin != nullptr) {
      const int64_t end = lists.excluded_begin[i + 1];
      for (int64_t k = lists.excluded_begin[i] + LaneOf(); k < end; k += kWarpLanes) {
        visit(i, lists.excluded[k], int64_t{-1});
      }
    }
  }
}

// Buckets of pairs (HiddenPairs): those of the pass of queries over columns, then those of the pass
// of columns over queries.
struct Buckets {
  int64_t query_tiles, column_tiles;           // where they are streamed
  int64_t of_queries, of_queries_and_columns;  // numbers of buckets

  explicit Buckets(const PaddedSizes& sizes)
      : query_tiles(sizes.queries / kColumnTile),
        column_tiles(sizes.columns / kColumnTile),
        of_queries(sizes.queries / kRowTile * column_tiles),
        of_queries_and_columns(of_queries + sizes.columns / kRowTile * query_tiles) {}
  __device__ int64_t OfQuery(int64_t query, int64_t column) const {
    return query / kRowTile * column_tiles + column / kColumnTile;
  }
  __device__ int64_t OfColumn(int64_t query, int64_t column) const {
    return of_queries + column / kRowTile * query_tiles + query / kColumnTile;
  }
};

struct PrepareArgs {
  PackArgs q, v;
  int64_t dim;
  int pair_bits;
  const float* offset;
  float* padded_offset;
  PairLists lists;
  uint32_t* query_of_row;
  Buckets buckets;
  uint32_t* count;  // of each bucket, zeros before
};

// Everything that waits for nothing else.
__global__ void PrepareKernel(const PrepareArgs args) {
  ForPairs(args.lists, [&args](int64_t query, int64_t column, int64_t row) {
    if (row >= 0) args.query_of_row[row] = static_cast<uint32_t>(query);
    atomicAdd(args.count + args.buckets.OfQuery(query, column), 1U);
    atomicAdd(args.count + args.buckets.OfColumn(query, column), 1U);
  });
  for (int64_t j = GlobalThread(); j < args.v.padded_n; j += GridThreads()) {
    args.padded_offset[j] =
        j < args.v.n ? static_cast<float>(static_cast<double>(args.offset[j]) * kLog2E) : -INFINITY;
  }
  Pack(args.q, args.dim, args.pair_bits);
  Pack(args.v, args.dim, args.pair_bits);
}

// begin: where each bucket ends; its pairs take places from there down to its beginning, which is
// left. Their order does not matter.
__global__ void PlaceKernel(const PairLists lists, const Buckets buckets, uint32_t* begin,
                            uint32_t* entry) {
  ForPairs(lists, [&](int64_t query, int64_t column, int64_t) {
    const auto place = [begin, entry](int64_t bucket, int64_t x, int64_t y) {
      entry[atomicAdd(begin + bucket, ~0U) - 1] =
          static_cast<uint32_t>(x % kRowTile << kColumnBits | y % kColumnTile);
    };
    place(buckets.OfQuery(query, column), query, column);
    place(buckets.OfColumn(query, column), column, query);
  });
}

}  // namespace

PaddedSizes SizesOf(const SoftmaxArgs& args) {
  return {RoundUp(args.b), RoundUp(args.u), PaddedDim(args.dim)};
}

SoftmaxOperands::SoftmaxOperands(const SoftmaxArgs& args)
    : sizes_(SizesOf(args)),
      q_(sizes_.queries * sizes_.dim),
      v_(sizes_.columns * sizes_.dim),
      column_offset_(sizes_.columns),
      query_of_row_(args.rows),
      query_buckets_(Buckets(sizes_).of_queries),
      hidden_begin_(Buckets(sizes_).of_queries_and_columns + 1),
      hidden_(2 * (args.rows + args.num_excluded)) {
  const Buckets buckets(sizes_);
  const PairLists lists{args.b, args.row_begin, args.positive, args.excluded_begin, args.excluded};
  const auto bounds = buckets.of_queries_and_columns + 1;
  ClearMemory(hidden_begin_.get(), static_cast<size_t>(bounds) * sizeof(uint32_t));
  const auto scale = static_cast<float>(args.inverse_temperature * kLog2E);
  const PackArgs q{args.q, args.b, scale, reinterpret_cast<Bf16Pair*>(q_.get()), sizes_.queries};
  const PackArgs v{args.v, args.u, 1, reinterpret_cast<Bf16Pair*>(v_.get()), sizes_.columns};
  Launch(
      PrepareKernel, ShapeFor(std::max(sizes_.queries, sizes_.columns) * sizes_.dim / 2),
      PrepareArgs{q, v, args.dim, BitsBelow(sizes_.dim / 2), args.column_offset,
                  column_offset_.get(), lists, query_of_row_.get(), buckets, hidden_begin_.get()});
  RunningSums(hidden_begin_.get(), bounds, hidden_begin_.get());
  Launch(PlaceKernel, ShapeFor(args.b * (args.excluded_begin != nullptr ? kWarpLanes : 1)), lists,
         buckets, hidden_begin_.get(), hidden_.get());
}

}  // namespace torii::kernels::cuda
