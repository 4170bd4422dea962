#include "kernels/cuda/softmax/softmax_pass.h"

#include "kernels/cuda/softmax/softmax_rows.h"
#include "kernels/cuda/softmax/softmax_tiles.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {
namespace {

template <int kDim>
struct Geometry {
  // Blocks of 16 rows that a warp has, as many as registers allow: all of them use what is loaded of
  // a tile of columns.
  static constexpr int kBlocks = kDim <= 128 ? 2 : 1;
  static constexpr int kWarps = kRowTile / (16 * kBlocks);
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr int kChunks = kDim / 8;  // of 16 bytes in a row
  // Whether a warp keeps its rows in registers, or reads them from shared memory for each tile.
  static constexpr bool kKeepsRows = kDim <= 64;
  static constexpr int kBlocksOfMultiprocessor = kDim <= 128 ? 2 : 1;
  static constexpr size_t kSharedBytes =
      size_t{kRowTile + 2 * kColumnTile} * kDim * 2 + 2 * kColumnTile * sizeof(float);
};

template <int kDim, bool kShifts>
class Pass : PassRows<kDim, Geometry<kDim>::kBlocks, kShifts> {
  using G = Geometry<kDim>;
  using Rows = PassRows<kDim, G::kBlocks, kShifts>;
  using Rows::args_, Rows::e_, Rows::exponentials_, Rows::out_, Rows::sum_;
  using Rows::kDimGroups, Rows::kGroups, Rows::kRows;
  using typename Rows::Range;

 public:
  __device__ __forceinline__ Pass(const PassArgs& args, uint4* shared)
      : Rows(args),
        x_tile_(shared),
        y_tiles_(shared + kRowTile * G::kChunks),
        offsets_(reinterpret_cast<float*>(y_tiles_ + 2 * kColumnTile * G::kChunks)),
        eight_and_two_(
            PlaceOfChunk<G::kChunks>(LaneOf() / 16 * 8 + LaneOf() % 8, LaneOf() / 8 % 2)),
        sixteen_(PlaceOfChunk<G::kChunks>(LaneOf() % 16, LaneOf() / 16)) {}

  __device__ __forceinline__ void Run() {
    const auto split = static_cast<int64_t>(blockIdx.y);
    const int64_t tiles = args_.columns / kColumnTile;
    const auto begin = static_cast<int>(tiles * split / args_.splits),
               end = static_cast<int>(tiles * (split + 1) / args_.splits);
    CopyTile<kRowTile, G::kChunks, G::kThreads>(x_tile_, args_.x + BlockX() * kRowTile * kDim);
    LoadColumns(begin, end);
    WaitForCopies<0>();
    __syncthreads();
    KeepRows();
    this->StartShifts();
    // Hidden pairs of a tile are between two bounds; the second one is read a tile ahead.
    const uint32_t* bound = args_.hidden.begin + BlockX() * tiles + begin;
    Range hidden{bound[0], bound[1]};
    for (int tile = begin; tile < end; ++tile) {
      LoadColumns(tile + 1, end);
      const uint32_t next_end = bound[tile + 1 < end ? 2 : 1];
      ++bound;
      AddTile(tile % 2, hidden);
      hidden.begin = hidden.end;
      hidden.end = next_end;
      WaitForCopies<0>();
      __syncthreads();
    }
    this->Write(split);
  }

 private:
  // Where an exponential is too large for its row's shift, the tile begins again and moves shifts;
  // so does the first tile, which finds them.
  __device__ __forceinline__ void AddTile(int buffer, Range hidden) {
    const uint4* const y_tile = y_tiles_ + buffer * kColumnTile * G::kChunks;
    const uint32_t entry = this->HiddenOfLane(hidden);
    const float* const offsets = offsets_ + buffer * kColumnTile;
    float sum[kRows];
    Exponents(y_tile, offsets);
    this->Hide(hidden, entry);
    this->Exponentiate(sum);
    if constexpr (kShifts) {
      if (this->MustMoveShifts(sum)) {
        Exponents(y_tile, offsets);
        this->Hide(hidden, entry);
        this->MoveShifts();
        this->Exponentiate(sum);
      }
      TORII_UNROLL
      for (int r = 0; r < kRows; ++r) sum_[r] += sum[r];
    }
    AddProducts(y_tile);
  }

  // A tile of columns, or nothing, as one group of copies.
  __device__ __forceinline__ void LoadColumns(int tile, int end) {
    if (tile < end) {
      const int buffer = tile % 2;
      CopyTile<kColumnTile, G::kChunks, G::kThreads>(y_tiles_ + buffer * kColumnTile * G::kChunks,
                                                     args_.y + int64_t{tile} * kColumnTile * kDim);
      if (Thread() < kColumnTile / 4) {
        CopyAsync(offsets_ + buffer * kColumnTile + Thread() * 4,
                  args_.column_offset + int64_t{tile} * kColumnTile + Thread() * 4);
      }
    }
    CloseGroupOfCopies();
  }

  // Dimensions 16 * k .. of the 16 rows of block m of this warp.
  __device__ __forceinline__ void LoadRows(int m, int k, Bf16Pair (&rows)[4]) {
    const int first = (WarpOfBlock() * G::kBlocks + m) * 16;
    LoadMatrices<false>(rows, x_tile_ + first * G::kChunks + (sixteen_ ^ k * 2));
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

  // e_[m][n]: the exponents of block m of rows and 8 columns, less the shifts of the rows.
  __device__ __forceinline__ void Exponents(const uint4* y_tile, const float* offsets) {
    this->BeginExponents(offsets);
    TORII_UNROLL
    for (int k = 0; k < kDim / 16; ++k) {
      if constexpr (!G::kKeepsRows) {
        TORII_UNROLL
        for (int m = 0; m < G::kBlocks; ++m) LoadRows(m, k, x_[m][0]);
      }
      TORII_UNROLL
      for (int n = 0; n < kGroups; n += 2) {
        Bf16Pair y[4];  // columns 8 * n .. + 15, dimensions 16 * k .. + 15
        LoadMatrices<false>(y, y_tile + n * 8 * G::kChunks + (eight_and_two_ ^ k * 2));
        TORII_UNROLL
        for (int m = 0; m < G::kBlocks; ++m) {
          const auto& x = x_[m][G::kKeepsRows ? k : 0];
          MultiplyAdd(e_[m][n], x, y[0], y[1]);
          MultiplyAdd(e_[m][n + 1], x, y[2], y[3]);
        }
      }
    }
  }

  __device__ __forceinline__ void AddProducts(const uint4* y_tile) {
    TORII_UNROLL
    for (int k = 0; k < kColumnTile / 16; ++k) {
      TORII_UNROLL
      for (int n = 0; n < kDimGroups; n += 2) {
        Bf16Pair y[4];  // columns 16 * k .. + 15, dimensions 8 * n .. + 15
        LoadMatrices<true>(y, y_tile + k * 16 * G::kChunks + (sixteen_ ^ n));
        TORII_UNROLL
        for (int m = 0; m < G::kBlocks; ++m) {
          MultiplyAdd(out_[m][n], exponentials_[m][k], y[0], y[1]);
          MultiplyAdd(out_[m][n + 1], exponentials_[m][k], y[2], y[3]);
        }
      }
    }
  }

  uint4* const x_tile_;   // [kRowTile, kDim]
  uint4* const y_tiles_;  // two of [kColumnTile, kDim]
  float* const offsets_;  // two of [kColumnTile]
  // Places of the chunks that a lane names to LoadMatrices: 8 rows of two chunks each, two times; 16
  // rows of two chunks.
  const int eight_and_two_, sixteen_;
  Bf16Pair x_[G::kBlocks][G::kKeepsRows ? kDim / 16 : 1][4];
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
