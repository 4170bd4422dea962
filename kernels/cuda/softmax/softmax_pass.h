// One pass of the softmax loss in bfloat16: for each stationary row x_i,
//   out_i = sum_j e_ij y_j,  e_ij = 2^(x_i . y_j + row_offset_i + column_offset_j), 0 for hidden pairs;
// or without row offsets, where they are what the pass finds,
//   out_i = sum_j e_ij y_j,  sum_i = sum_j e_ij,  e_ij = 2^(x_i . y_j + column_offset_j - shift_i).
// Queries over columns gives the normalisers and the gradient of q; columns over queries gives the
// gradient of v. No more than a tile of e exists at a time.
#pragma once

#include <cstdint>

#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {

// Tiles of stationary and of streamed rows.
constexpr int kRowTile = 128, kColumnTile = 64;

// Pairs that a tile leaves out: those of bucket tile_of_row * column_tiles + tile_of_column are
// entry[begin[bucket]] .. entry[begin[bucket + 1] - 1], each (row in its tile) << 6 | (column in
// its tile).
struct HiddenPairs {
  const uint32_t* begin = nullptr;
  const uint32_t* entry = nullptr;
};
constexpr int kColumnBits = 6;
static_assert(kColumnTile == 1 << kColumnBits);

struct PassArgs {
  const uint16_t* x = nullptr;        // [rows, padded dim] bfloat16; rows: a multiple of kRowTile
  const uint16_t* y = nullptr;        // [columns, padded dim]; a multiple of kColumnTile
  const float* row_offset = nullptr;  // [rows]; null: the pass finds shifts
  const float* column_offset = nullptr;  // [columns]; -inf: there is no such column
  HiddenPairs hidden;
  int64_t rows = 0, columns = 0;
  int64_t splits = 1;    // of the columns, each with results of its own
  float* out = nullptr;  // [splits, rows, padded dim]
  // [splits, rows], where the pass finds shifts. A shift is about the largest exponent, so that no e is
  // above 2^8; -inf where all pairs of a row are hidden.
  float* sum = nullptr;
  float* shift = nullptr;
};

// Dimensions are padded to 16, 32, 64, 128 or 256; 0: more than that have no pass.
int PaddedDim(int64_t dim);

// How many splits a pass should have. Of the sizes alone: results must not depend on the device.
int64_t SplitsOf(int padded_dim, int64_t rows, int64_t columns);

void RunPass(int padded_dim, const PassArgs& args);

}  // namespace torii::kernels::cuda
