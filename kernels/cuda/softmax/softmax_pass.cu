#include "kernels/cuda/softmax/softmax_pass.h"

#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {
namespace {

// A row's shift moves only where an exponent exceeds it by more than this: sums stay in range, and
// most tiles rescale nothing.
constexpr float kSlack = 8;

template <int kDim>
struct Geometry {
  // Blocks of 16 rows that a warp has; registers allow two where rows are short.
  static constexpr int kBlocks = kDim <= 64 ? 2 : 1;
  static constexpr int kWarps = kRowTile / (16 * kBlocks);
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr int kChunks = kDim / 8;  // of 16 bytes in a row
  // Whether a warp keeps its rows in registers, or reads them from shared memory for each tile.
  static constexpr bool kKeepsRows = kDim <= 128;
  static constexpr int kBlocksOfMultiprocessor = kDim <= 64 ? 2 : 1;
  static constexpr size_t kSharedBytes = size_t{kRowTile + 2 * kColumnTile} * kDim * 2;
};

// Where chunk c of row r of a tile lies. The 8 rows of one matrix of an instruction have their
// chunks in different banks: with 8 chunks or more a row fills all banks, and the chunk's number is
// mixed with the row's; with fewer, so many rows as fill the banks share a number.
template <int kChunks>
__device__ __forceinline__ int PlaceOfChunk(int r, int c) {
  constexpr int kMixed = kChunks < 8 ? kChunks : 8;
  return r * kChunks + (c ^ (r / (8 / kMixed) % kMixed));
}

template <int kDim, bool kShifts>
class Pass {
  using G = Geometry<kDim>;

 public:
  __device__ __forceinline__ Pass(const PassArgs& args, uint4* shared)
      : args_(args),
        x_tile_(shared),
        y_tiles_(shared + kRowTile * G::kChunks),
        row_(BlockX() * kRowTile + WarpOfBlock() * 16 * G::kBlocks + LaneOf() / 4) {}

  __device__ __forceinline__ void Run() {
    const auto split = static_cast<int64_t>(blockIdx.y);
    const int64_t tiles = args_.columns / kColumnTile;
    const int64_t begin = tiles * split / args_.splits, end = tiles * (split + 1) / args_.splits;
    LoadTile(x_tile_, args_.x + BlockX() * kRowTile * kDim, kRowTile);
    LoadColumns(begin, end, 0);
    WaitForCopies<0>();
    __syncthreads();
    KeepRows();
    StartShifts();
    for (int64_t tile = begin; tile < end; ++tile) {
      const int buffer = static_cast<int>((tile - begin) % 2);
      LoadColumns(tile + 1, end, 1 - buffer);
      const int64_t bucket = BlockX() * tiles + tile;
      const int64_t hidden = args_.hidden.begin[bucket],
                    hidden_end = args_.hidden.begin[bucket + 1];
      const uint4* const y_tile = y_tiles_ + buffer * kColumnTile * G::kChunks;
      Exponents(tile, y_tile);
      Hide(hidden, hidden_end);
      if constexpr (kShifts) MoveShifts();
      Exponentiate();
      AddProducts(y_tile);
      WaitForCopies<0>();
      __syncthreads();
    }
    Write(split);
  }

 private:
  static constexpr int kRows = 2 * G::kBlocks;     // of a lane
  static constexpr int kGroups = kColumnTile / 8;  // of columns of a tile
  static constexpr int kDimGroups = kDim / 8;

  __device__ __forceinline__ void LoadTile(uint4* tile, const uint16_t* from, int rows) {
    for (int i = Thread(); i < rows * G::kChunks; i += G::kThreads) {
      CopyAsync(tile + PlaceOfChunk<G::kChunks>(i / G::kChunks, i % G::kChunks), from + i * 8);
    }
  }

  // A tile of columns, or nothing, as one group of copies.
  __device__ __forceinline__ void LoadColumns(int64_t tile, int64_t end, int buffer) {
    if (tile < end) {
      LoadTile(y_tiles_ + buffer * kColumnTile * G::kChunks, args_.y + tile * kColumnTile * kDim,
               kColumnTile);
    }
    CloseGroupOfCopies();
  }

  // Dimensions 16 * k .. of the 16 rows of block m of this warp.
  __device__ __forceinline__ void LoadRows(int m, int k, Bf16Pair (&rows)[4]) {
    const int row = (WarpOfBlock() * G::kBlocks + m) * 16 + LaneOf() % 16;
    LoadMatrices<false>(rows, x_tile_ + PlaceOfChunk<G::kChunks>(row, k * 2 + LaneOf() / 16));
  }

  __device__ __forceinline__ void KeepRows() {
    if constexpr (G::kKeepsRows) {
      TORII_UNROLL
      for (int m = 0; m < G::kBlocks; ++m) {
        TORII_UNROLL
        for (int k = 0; k < kDim / 16; ++k) LoadRows(m, k, x_[m][k]);
      }
    }
  }

  __device__ __forceinline__ void StartShifts() {
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      shift_[r] = args_.row_offset != nullptr ? -args_.row_offset[row_ + r * 8] : 0.0F;
    }
  }

  // e_[m][n]: the exponents of block m of rows and 8 columns, less the shifts of the rows.
  __device__ __forceinline__ void Exponents(int64_t tile, const uint4* y_tile) {
    const float* const offsets = args_.column_offset + tile * kColumnTile + LaneOf() % 4 * 2;
    TORII_UNROLL
    for (int n = 0; n < kGroups; ++n) {
      const float2 offset = *reinterpret_cast<const float2*>(offsets + n * 8);
      TORII_UNROLL
      for (int r = 0; r < kRows; ++r) {
        e_[r / 2][n][r % 2 * 2] = offset.x - shift_[r];
        e_[r / 2][n][r % 2 * 2 + 1] = offset.y - shift_[r];
      }
    }
    TORII_UNROLL
    for (int k = 0; k < kDim / 16; ++k) {
      if constexpr (!G::kKeepsRows) {
        TORII_UNROLL
        for (int m = 0; m < G::kBlocks; ++m) LoadRows(m, k, x_[m][0]);
      }
      TORII_UNROLL
      for (int n = 0; n < kGroups; n += 2) {
        Bf16Pair y[4];  // columns 8 * n .. + 15, dimensions 16 * k .. + 15
        const int column = n * 8 + LaneOf() / 16 * 8 + LaneOf() % 8;
        LoadMatrices<false>(y, y_tile + PlaceOfChunk<G::kChunks>(column, k * 2 + LaneOf() / 8 % 2));
        TORII_UNROLL
        for (int m = 0; m < G::kBlocks; ++m) {
          const auto& x = x_[m][G::kKeepsRows ? k : 0];
          MultiplyAdd(e_[m][n], x, y[0], y[1]);
          MultiplyAdd(e_[m][n + 1], x, y[2], y[3]);
        }
      }
    }
  }

  // One lane has the exponent of a pair. All places are looked at, so that e_ stays in registers.
  __device__ __forceinline__ void Hide(int64_t hidden, int64_t hidden_end) {
    for (; hidden < hidden_end; ++hidden) {
      const auto entry = static_cast<int>(args_.hidden.entry[hidden]);
      const int r = entry >> kColumnBits, c = entry % kColumnTile;
      if (r / (16 * G::kBlocks) != WarpOfBlock() || r % 8 * 4 + c % 8 / 2 != LaneOf()) continue;
      const int place = (r / 16 % G::kBlocks * kGroups + c / 8) * 4 + r / 8 % 2 * 2 + c % 2;
      TORII_UNROLL
      for (int m = 0; m < G::kBlocks; ++m) {
        TORII_UNROLL
        for (int n = 0; n < kGroups; ++n) {
          TORII_UNROLL
          for (int i = 0; i < 4; ++i) {
            if (place == (m * kGroups + n) * 4 + i) e_[m][n][i] = -INFINITY;
          }
        }
      }
    }
  }

  // The largest exponent of each row, of all columns of the tile.
  __device__ __forceinline__ void FindLargest(float (&most)[kRows]) {
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      most[r] = -INFINITY;
      TORII_UNROLL
      for (int n = 0; n < kGroups; ++n) {
        const auto& e = e_[r / 2][n];
        most[r] = fmaxf(most[r], fmaxf(e[r % 2 * 2], e[r % 2 * 2 + 1]));
      }
      most[r] = fmaxf(most[r], __shfl_xor_sync(kAllLanes, most[r], 1));
      most[r] = fmaxf(most[r], __shfl_xor_sync(kAllLanes, most[r], 2));
    }
  }

  // The first shift of a row is its largest exponent so far.
  __device__ __forceinline__ void MoveShifts() {
    float most[kRows];
    FindLargest(most);
    bool moves = false;
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      moves = moves || most[r] > ((started_ >> r & 1) != 0 ? kSlack : -INFINITY);
    }
    if (!__any_sync(kAllLanes, moves)) return;
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const bool started = (started_ >> r & 1) != 0;
      if (!(most[r] > (started ? kSlack : -INFINITY))) continue;
      const float factor = started ? Exp2(-most[r]) : 1.0F;
      started_ |= 1U << r;
      shift_[r] += most[r];
      sum_[r] *= factor;
      TORII_UNROLL
      for (int n = 0; n < kGroups; ++n) {
        e_[r / 2][n][r % 2 * 2] -= most[r];
        e_[r / 2][n][r % 2 * 2 + 1] -= most[r];
      }
      TORII_UNROLL
      for (int n = 0; n < kDimGroups; ++n) {
        out_[r / 2][n][r % 2 * 2] *= factor;
        out_[r / 2][n][r % 2 * 2 + 1] *= factor;
      }
    }
  }

  // The sum of a tile is taken before it is added to that of the tiles before: short sums are exact.
  __device__ __forceinline__ void Exponentiate() {
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      float sum = 0;
      TORII_UNROLL
      for (int n = 0; n < kGroups; ++n) {
        TORII_UNROLL
        for (int i = 0; i < 2; ++i) {
          float& e = e_[r / 2][n][r % 2 * 2 + i];
          e = Exp2(e);
          sum += e;
        }
      }
      sum_[r] += sum;
    }
  }

  // The exponentials lie over the lanes as the products want their first operand: 16 columns of e at
  // a time are two groups of 8.
  __device__ __forceinline__ void AddProducts(const uint4* y_tile) {
    TORII_UNROLL
    for (int k = 0; k < kColumnTile / 16; ++k) {
      Bf16Pair e[G::kBlocks][4];
      TORII_UNROLL
      for (int m = 0; m < G::kBlocks; ++m) {
        TORII_UNROLL
        for (int i = 0; i < 4; ++i) {
          const auto& from = e_[m][2 * k + i / 2];
          e[m][i] = PackBf16(from[i % 2 * 2], from[i % 2 * 2 + 1]);
        }
      }
      TORII_UNROLL
      for (int n = 0; n < kDimGroups; n += 2) {
        Bf16Pair y[4];  // columns 16 * k .. + 15, dimensions 8 * n .. + 15
        const int column = k * 16 + LaneOf() % 16;
        LoadMatrices<true>(y, y_tile + PlaceOfChunk<G::kChunks>(column, n + LaneOf() / 16));
        TORII_UNROLL
        for (int m = 0; m < G::kBlocks; ++m) {
          MultiplyAdd(out_[m][n], e[m], y[0], y[1]);
          MultiplyAdd(out_[m][n + 1], e[m], y[2], y[3]);
        }
      }
    }
  }

  __device__ __forceinline__ void Write(int64_t split) {
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      sum_[r] += __shfl_xor_sync(kAllLanes, sum_[r], 1);
      sum_[r] += __shfl_xor_sync(kAllLanes, sum_[r], 2);
      const int64_t at = split * args_.rows + row_ + r * 8;
      if (LaneOf() % 4 == 0) {
        args_.sum[at] = sum_[r];
        if (kShifts) args_.shift[at] = (started_ >> r & 1) != 0 ? shift_[r] : -INFINITY;
      }
      TORII_UNROLL
      for (int n = 0; n < kDimGroups; ++n) {
        *reinterpret_cast<float2*>(args_.out + at * kDim + n * 8 + LaneOf() % 4 * 2) = {
            out_[r / 2][n][r % 2 * 2], out_[r / 2][n][r % 2 * 2 + 1]};
      }
    }
  }

  const PassArgs& args_;
  uint4* const x_tile_;   // [kRowTile, kDim]
  uint4* const y_tiles_;  // two of [kColumnTile, kDim]
  const int64_t row_;     // the first of the lane's rows, which are 8 apart
  Bf16Pair x_[G::kBlocks][G::kKeepsRows ? kDim / 16 : 1][4];
  float e_[G::kBlocks][kGroups][4];
  float out_[G::kBlocks][kDimGroups][4] = {};
  float sum_[kRows] = {}, shift_[kRows];
  uint32_t started_ = 0;  // bit r: row r has a shift
};

template <int kDim, bool kShifts>
__global__ void __launch_bounds__(Geometry<kDim>::kThreads, Geometry<kDim>::kBlocksOfMultiprocessor)
    PassKernel(const PassArgs args) {
  Pass<kDim, kShifts>(args, SharedMemory<uint4>()).Run();
}

template <int kDim>
void RunPassOf(const PassArgs& args) {
  using G = Geometry<kDim>;
  const LaunchShape shape{.blocks = args.rows / kRowTile,
                          .blocks_y = args.splits,
                          .threads = G::kThreads,
                          .shared_bytes = G::kSharedBytes,
                          .lanes = Lanes::kMeet};
  if (args.row_offset == nullptr) {
    Launch(PassKernel<kDim, true>, shape, args);
  } else {
    Launch(PassKernel<kDim, false>, shape, args);
  }
}

}  // namespace

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
  const int64_t at_once = 132 * (padded_dim <= 64 ? 2 : 1);
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

void RunPass(int padded_dim, const PassArgs& args) {
  switch (padded_dim) {
    case 16:
      return RunPassOf<16>(args);
    case 32:
      return RunPassOf<32>(args);
    case 64:
      return RunPassOf<64>(args);
    case 128:
      return RunPassOf<128>(args);
    default:
      return RunPassOf<256>(args);
  }
}

}  // namespace torii::kernels::cuda
