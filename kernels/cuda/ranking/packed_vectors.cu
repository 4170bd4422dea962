#include "kernels/cuda/ranking/packed_vectors.h"

#include "kernels/cuda/ranking/score_bits.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = kDepth * kTile / kThreads;  // dimensions of a vector that a thread packs

struct PackArgs {
  const float* vectors;
  int64_t n, dim;
  int64_t panels, slices;
  float behind;   // the dimensions
  float missing;  // all numbers of vectors that do not exist
  float* packed;
};

// A block has a slice: each thread, kRun dimensions of a vector.
__global__ void PackKernel(const PackArgs args) {
  const int place = Thread() % kTile, run = Thread() / kTile * kRun;
  for (int64_t slice = BlockX(); slice < args.panels * args.slices;
       slice += static_cast<int64_t>(gridDim.x)) {
    const int64_t vector = slice / args.slices * kTile + place;
    for (int k = run; k < run + kRun; ++k) {
      const int64_t d = slice % args.slices * kDepth + k;
      float x = args.missing;
      if (vector < args.n) x = d < args.dim ? args.vectors[vector * args.dim + d] : args.behind;
      args.packed[slice * kSliceFloats + k * kTile + place] = x;
    }
  }
}

void Pack(const PackArgs& args) {
  Launch(PackKernel,
         {.blocks = BlocksFor(args.panels * args.slices * kThreads, kThreads), .threads = kThreads},
         args);
}

}  // namespace

void PackItems(const float* vectors, int64_t n, int64_t dim, float* packed) {
  Pack({vectors, n, dim, TilesOf(n), SlicesOf(dim), 0.0F, NotANumber(), packed});
}

void PackQueries(const float* vectors, int64_t n, int64_t dim, float* packed) {
  Pack({vectors, n, dim, TilesOf(n), SlicesOf(dim), -0.0F, 0.0F, packed});
}

}  // namespace torii::kernels::cuda
