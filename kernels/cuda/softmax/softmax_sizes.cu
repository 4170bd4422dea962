#include "kernels/cuda/softmax/softmax_pass.h"

namespace torii::kernels::cuda {

int PaddedDim(int64_t dim) {
  constexpr int kFewest = 16, kMost = 256;
  int padded = kFewest;
  while (padded < dim && padded < kMost) padded *= 2;
  return dim <= padded ? padded : 0;
}

// The least time, in tiles, on a device of 132 multiprocessors (the H100): rounds of blocks times
// the tiles of one, and two more for its beginning and its end.
int64_t SplitsOf(int padded_dim, int64_t rows, int64_t columns) {
  constexpr int64_t kFewestTiles = 4;  // of a split: fewer do not pay
  const int64_t at_once = 132 * (padded_dim <= 128 ? 2 : 1);
  const int64_t row_tiles = rows / kRowTile, tiles = columns / kColumnTile;
  int64_t best = 1, least = -1;
  for (int64_t splits = 1; splits * kFewestTiles <= tiles && splits <= at_once; ++splits) {
    const int64_t rounds = (row_tiles * splits + at_once - 1) / at_once;
    const int64_t time = rounds * ((tiles + splits - 1) / splits + 2);
    if (least < 0 || time < least) {
      best = splits;
      least = time;
    }
  }
  return best;
}

}  // namespace torii::kernels::cuda
