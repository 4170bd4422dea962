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

// Two numbers of x [n, dim] times `scale` a thread, zeros around them.
struct PackArgs {
  const float* x;
  int64_t n, dim;
  float scale;
  Bf16Pair* out;  // [padded_n, padded_dim / 2]
  int64_t padded_n, padded_dim;
};

__global__ void PackKernel(const PackArgs args) {
  const int64_t pairs = args.padded_dim / 2;
  for (int64_t i = GlobalThread(); i < args.padded_n * pairs; i += GridThreads()) {
    const int64_t row = i / pairs, d = i % pairs * 2;
    const float* const x = args.x + row * args.dim + d;
    const bool has_first = row < args.n && d < args.dim;
    const bool has_second = row < args.n && d + 1 < args.dim;
    args.out[i] = PackBf16(has_first ? x[0] * args.scale : 0, has_second ? x[1] * args.scale : 0);
  }
}

__global__ void OffsetsKernel(const float* offset, int64_t n, int64_t padded_n, float* out) {
  for (int64_t j = GlobalThread(); j < padded_n; j += GridThreads()) {
    out[j] = j < n ? static_cast<float>(static_cast<double>(offset[j]) * kLog2E) : -INFINITY;
  }
}

// list[k] = i for the places k of list i; begin null: i for place i. A warp has a list.
__global__ void ListOfPlaceKernel(const int64_t* begin, int64_t lists, uint32_t* list) {
  for (int64_t i = GlobalWarp(); i < lists; i += GridWarps()) {
    const int64_t first = begin != nullptr ? begin[i] : i;
    const int64_t last = begin != nullptr ? begin[i + 1] : i + 1;
    for (int64_t k = first + LaneOf(); k < last; k += kWarpLanes) {
      list[k] = static_cast<uint32_t>(i);
    }
  }
}

// A pair for every row and its positive, then for every excluded column.
struct PairArgs {
  const int64_t* positive;
  const uint32_t* query_of_row;
  int64_t rows;
  const int64_t* excluded;
  const uint32_t* query_of_excluded;
  int64_t num_excluded;
  bool columns_are_stationary;
  int64_t streamed_tiles;
  uint32_t* bucket;  // [rows + num_excluded]
  uint32_t* entry;
};

__global__ void BucketsKernel(const PairArgs args) {
  for (int64_t p = GlobalThread(); p < args.rows + args.num_excluded; p += GridThreads()) {
    const bool is_row = p < args.rows;
    const int64_t k = is_row ? p : p - args.rows;
    const auto query =
        static_cast<int64_t>(is_row ? args.query_of_row[k] : args.query_of_excluded[k]);
    const int64_t column = is_row ? args.positive[k] : args.excluded[k];
    const int64_t x = args.columns_are_stationary ? column : query;
    const int64_t y = args.columns_are_stationary ? query : column;
    args.bucket[p] = static_cast<uint32_t>(x / kRowTile * args.streamed_tiles + y / kColumnTile);
    args.entry[p] = static_cast<uint32_t>(x % kRowTile << kColumnBits | y % kColumnTile);
  }
}

void SortByTiles(PairArgs args, int64_t buckets, int64_t* begin, uint32_t* entries) {
  const int64_t pairs = args.rows + args.num_excluded;
  const Scratch<uint32_t> bucket(pairs), entry(pairs), sorted(pairs);
  args.bucket = bucket.get();
  args.entry = entry.get();
  Launch(BucketsKernel, ShapeFor(pairs), args);
  SortPairs({.keys = bucket.get(),
             .values = entry.get(),
             .count = pairs,
             .bits = BitsBelow(buckets),
             .sorted_keys = sorted.get(),
             .sorted_values = entries});
  FindBegins(sorted.get(), pairs, buckets, begin);
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
      begin_of_queries_(sizes_.queries / kRowTile * (sizes_.columns / kColumnTile) + 1),
      begin_of_columns_(sizes_.columns / kRowTile * (sizes_.queries / kColumnTile) + 1),
      of_queries_(args.rows + args.num_excluded),
      of_columns_(args.rows + args.num_excluded) {
  const auto pack = [this](const float* x, int64_t n, int64_t dim, float scale, int64_t padded_n,
                           uint16_t* out) {
    Launch(PackKernel, ShapeFor(padded_n * sizes_.dim / 2),
           PackArgs{x, n, dim, scale, reinterpret_cast<Bf16Pair*>(out), padded_n, sizes_.dim});
  };
  pack(args.q, args.b, args.dim, static_cast<float>(args.inverse_temperature * kLog2E),
       sizes_.queries, q_.get());
  pack(args.v, args.u, args.dim, 1, sizes_.columns, v_.get());
  Launch(OffsetsKernel, ShapeFor(sizes_.columns), args.column_offset, args.u, sizes_.columns,
         column_offset_.get());
  Launch(ListOfPlaceKernel, ShapeFor(args.b * kWarpLanes), args.row_begin, args.b,
         query_of_row_.get());
  HidePairs(args);
}

void SoftmaxOperands::HidePairs(const SoftmaxArgs& args) {
  const Scratch<uint32_t> query_of_excluded(args.num_excluded);
  if (args.excluded_begin != nullptr) {
    Launch(ListOfPlaceKernel, ShapeFor(args.b * kWarpLanes), args.excluded_begin, args.b,
           query_of_excluded.get());
  }
  PairArgs pairs{args.positive,
                 query_of_row_.get(),
                 args.rows,
                 args.excluded,
                 query_of_excluded.get(),
                 args.excluded_begin != nullptr ? args.num_excluded : 0,
                 false,
                 sizes_.columns / kColumnTile,
                 nullptr,
                 nullptr};
  SortByTiles(pairs, sizes_.queries / kRowTile * pairs.streamed_tiles, begin_of_queries_.get(),
              of_queries_.get());
  pairs.columns_are_stationary = true;
  pairs.streamed_tiles = sizes_.queries / kColumnTile;
  SortByTiles(pairs, sizes_.columns / kRowTile * pairs.streamed_tiles, begin_of_columns_.get(),
              of_columns_.get());
}

}  // namespace torii::kernels::cuda
