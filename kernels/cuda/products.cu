#include "kernels/cuda/products.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"

namespace torii::kernels::cuda {
namespace {

// A block makes a tile of kTileRows x kTileColumns elements, 8 x 4 of them by each thread. Slices of
// kDepth of the inner dimension come to shared memory one after the other, each as [depth][row] and
// [depth][column], so that a thread reads its rows and columns as vectors.
constexpr int kThreads = 256;
constexpr int kTileRows = 128, kTileColumns = 64, kDepth = 16;
constexpr int kRowsOfThread = 8, kColumnsOfThread = 4;
constexpr int kColumnThreads = kTileColumns / kColumnsOfThread;
// Rows of shared memory are a vector longer than the tile: fewer bank conflicts.
constexpr int kRowStride = kTileRows + 4, kColumnStride = kTileColumns + 4;

struct Slice {
  float a[kDepth * kRowStride];
  float b[kDepth * kColumnStride];
};

// kCount floats of a row of a matrix, from column `at` on; zeros behind its end and where the row
// does not exist. kVector: whether they lie on a multiple of 16 bytes, and rows are whole vectors.
template <int kCount, bool kVector>
__device__ inline void LoadPart(const float* matrix, int64_t row, int64_t rows, int64_t width,
                                int64_t at, float (&to)[kCount]) {
  const float* const from = matrix + row * width + at;
  TORII_UNROLL
  for (int i = 0; i < kCount; i += kVector ? 4 : 1) {
    const bool is_there = row < rows && at + i < width;
    if constexpr (kVector) {
      const Floats<4> four = is_there ? Load<4>(from + i) : Floats<4>{{0, 0, 0, 0}};
      TORII_UNROLL
      for (int j = 0; j < 4; ++j) to[i + j] = four.at[j];
    } else {
      to[i] = is_there ? from[i] : 0;
    }
  }
}

// Rows first .. first + kLines - 1 of a matrix [lines, inner], columns depth .. depth + kDepth - 1,
// to shared memory as [depth][line].
template <int kLines, int kStride, bool kVector>
__device__ inline void LoadAcross(const float* matrix, int64_t first, int64_t lines, int64_t inner,
                                  int64_t depth, float* shared) {
  constexpr int kPart = kLines * kDepth / kThreads;
  constexpr int kPartsOfLine = kDepth / kPart;
  const int line = Thread() / kPartsOfLine, at = Thread() % kPartsOfLine * kPart;
  float part[kPart];
  LoadPart<kPart, kVector>(matrix, first + line, lines, inner, depth + at, part);
  TORII_UNROLL
  for (int i = 0; i < kPart; ++i) shared[(at + i) * kStride + line] = part[i];
}

// Columns first .. first + 63 of rows depth .. depth + kDepth - 1 of a matrix [inner, columns], to
// shared memory as [depth][column].
template <bool kVector>
__device__ inline void LoadAlong(const float* matrix, int64_t first, int64_t columns, int64_t inner,
                                 int64_t depth, float* shared) {
  constexpr int kPart = 4;
  const int line = Thread() / kColumnThreads, at = Thread() % kColumnThreads * kPart;
  float part[kPart];
  LoadPart<kPart, kVector>(matrix, depth + line, inner, columns, first + at, part);
  TORII_UNROLL
  for (int i = 0; i < kPart; ++i) shared[line * kColumnStride + at + i] = part[i];
}

// sums[i][j] += a_i b_j over the depth of a slice, for the kRows rows from `row` on and the columns
// from `column` on.
template <int kRows, int kStride>
__device__ inline void AddSlice(const float* a, const float* b, int row, int column,
                                float (&sums)[kRows][kColumnsOfThread]) {
  TORII_UNROLL
  for (int d = 0; d < kDepth; ++d) {
    float of_rows[kRows];
    TORII_UNROLL
    for (int i = 0; i < kRows; i += 4) {
      const Floats<4> four = Load<4>(a + d * kStride + row + i);
      TORII_UNROLL
      for (int j = 0; j < 4; ++j) of_rows[i + j] = four.at[j];
    }
    const Floats<4> of_columns = Load<4>(b + d * kColumnStride + column);
    TORII_UNROLL
    for (int i = 0; i < kRows; ++i) {
      TORII_UNROLL
      for (int j = 0; j < kColumnsOfThread; ++j) {
        sums[i][j] = fmaf(of_rows[i], of_columns.at[j], sums[i][j]);
      }
    }
  }
}

__device__ inline float Finished(const Finish& finish, float x, int64_t column, int64_t place) {
  if (finish.bias != nullptr) x += finish.bias[column];
  if (finish.relu && x < 0) x = 0;  // a NaN stays
  if (finish.gate != nullptr && !(finish.gate[place] > 0)) x = 0;
  return x;
}

template <bool kVector>
__global__ void __launch_bounds__(kThreads) MultiplyKernel(const Product p, const Finish finish) {
  Slice& slice = *SharedMemory<Slice>();
  const int64_t tiles_across = (p.columns + kTileColumns - 1) / kTileColumns;
  const int64_t first_row = BlockX() / tiles_across * kTileRows;
  const int64_t first_column = BlockX() % tiles_across * kTileColumns;
  const int row = Thread() / kColumnThreads * kRowsOfThread;
  const int column = Thread() % kColumnThreads * kColumnsOfThread;
  const bool is_there = first_row + row < p.rows && first_column + column < p.columns;
  float sums[kRowsOfThread][kColumnsOfThread] = {};
  for (int64_t depth = 0; depth < p.inner; depth += kDepth) {
    LoadAcross<kTileRows, kRowStride, kVector>(p.a, first_row, p.rows, p.inner, depth, slice.a);
    if (p.b_is_transposed) {
      LoadAcross<kTileColumns, kColumnStride, kVector>(p.b, first_column, p.columns, p.inner, depth,
                                                       slice.b);
    } else {
      LoadAlong<kVector>(p.b, first_column, p.columns, p.inner, depth, slice.b);
    }
    __syncthreads();
    if (is_there) AddSlice<kRowsOfThread, kRowStride>(slice.a, slice.b, row, column, sums);
    __syncthreads();
  }
  TORII_UNROLL
  for (int i = 0; i < kRowsOfThread; ++i) {
    TORII_UNROLL
    for (int j = 0; j < kColumnsOfThread; ++j) {
      const int64_t r = first_row + row + i, c = first_column + column + j;
      if (r >= p.rows || c >= p.columns) continue;
      p.c[r * p.columns + c] = Finished(finish, sums[i][j], c, r * p.columns + c);
    }
  }
}

// ---- Sums over rows ----

// Parts of the rows, each a multiple of kDepth, and at most 64 of them.
struct Parts {
  explicit Parts(int64_t rows) {
    constexpr int64_t kMostParts = 64, kLeastRows = 256;
    length = (rows + kMostParts - 1) / kMostParts;
    length = length < kLeastRows ? kLeastRows : (length + kDepth - 1) / kDepth * kDepth;
    count = (rows + length - 1) / length;
  }
  int64_t count = 0, length = 0;
};

// A block adds the rows of part BlockY of a tile of 64 x 64 elements, 4 x 4 of them by each thread.
constexpr int kTileOver = kTileColumns;

template <bool kVector>
__global__ void __launch_bounds__(kThreads)
    MultiplyOverRowsKernel(const ProductOverRows p, int64_t part_length, float* partial) {
  float* const a = SharedMemory<float>();
  float* const b = a + kDepth * kColumnStride;
  const int64_t tiles_across = (p.b_columns + kTileOver - 1) / kTileOver;
  const int64_t first_a = BlockX() / tiles_across * kTileOver;
  const int64_t first_b = BlockX() % tiles_across * kTileOver;
  const auto part = static_cast<int64_t>(blockIdx.y);
  const int64_t begin = part * part_length;
  const int64_t end = begin + part_length < p.rows ? begin + part_length : p.rows;
  const int row = Thread() / kColumnThreads * kColumnsOfThread;
  const int column = Thread() % kColumnThreads * kColumnsOfThread;
  const bool is_there = first_a + row < p.a_columns && first_b + column < p.b_columns;
  float sums[kColumnsOfThread][kColumnsOfThread] = {};
  for (int64_t depth = begin; depth < end; depth += kDepth) {
    LoadAlong<kVector>(p.a, first_a, p.a_columns, end, depth, a);
    LoadAlong<kVector>(p.b, first_b, p.b_columns, end, depth, b);
    __syncthreads();
    if (is_there) AddSlice<kColumnsOfThread, kColumnStride>(a, b, row, column, sums);
    __syncthreads();
  }
  TORII_UNROLL
  for (int i = 0; i < kColumnsOfThread; ++i) {
    TORII_UNROLL
    for (int j = 0; j < kColumnsOfThread; ++j) {
      const int64_t r = first_a + row + i, c = first_b + column + j;
      if (r >= p.a_columns || c >= p.b_columns) continue;
      partial[(part * p.a_columns + r) * p.b_columns + c] = sums[i][j];
    }
  }
}

// sums[i] = partial[0][i] + partial[1][i] + ...
__global__ void AddPartsKernel(const float* partial, int64_t parts, int64_t size, float* sums) {
  for (int64_t i = GlobalThread(); i < size; i += GridThreads()) {
    float sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += partial[part * size + i];
    sums[i] = sum;
  }
}

void AddParts(const float* partial, int64_t parts, int64_t size, float* sums) {
  Launch(AddPartsKernel, {.blocks = BlocksFor(size, kThreads), .threads = kThreads}, partial, parts,
         size, sums);
}

// A block adds a part of the rows of 32 columns: each warp every eighth row, the warps in order.
constexpr int kWarps = kThreads / kWarpLanes;

__global__ void __launch_bounds__(kThreads)
    SumRowsKernel(const float* x, int64_t rows, int64_t columns, int64_t part_length,
                  float* partial) {
  float* const of_warp = SharedMemory<float>();  // [warps][lanes]
  const int64_t column = BlockX() * kWarpLanes + LaneOf();
  const auto part = static_cast<int64_t>(blockIdx.y);
  const int64_t begin = part * part_length;
  const int64_t end = begin + part_length < rows ? begin + part_length : rows;
  float sum = 0;
  if (column < columns) {
    for (int64_t r = begin + WarpOfBlock(); r < end; r += kWarps) sum += x[r * columns + column];
  }
  of_warp[Thread()] = sum;
  __syncthreads();
  if (WarpOfBlock() > 0 || column >= columns) return;
  for (int warp = 1; warp < kWarps; ++warp) sum += of_warp[warp * kWarpLanes + LaneOf()];
  partial[part * columns + column] = sum;
}

}  // namespace

void Multiply(const Product& p, const Finish& finish) {
  const int64_t tiles =
      (p.rows + kTileRows - 1) / kTileRows * ((p.columns + kTileColumns - 1) / kTileColumns);
  const bool vectors = AreVectors(p.a, p.inner, p.inner) &&
                       (p.b_is_transposed ? AreVectors(p.b, p.inner, p.inner)
                                          : AreVectors(p.b, p.columns, p.columns));
  Launch(
      vectors ? MultiplyKernel<true> : MultiplyKernel<false>,
      {.blocks = tiles, .threads = kThreads, .shared_bytes = sizeof(Slice), .lanes = Lanes::kMeet},
      p, finish);
}

void MultiplyOverRows(const ProductOverRows& p) {
  const int64_t size = p.a_columns * p.b_columns;
  if (p.rows == 0) return ClearMemory(p.c, sizeof(float) * static_cast<size_t>(size));
  const Parts parts(p.rows);
  const int64_t tiles =
      (p.a_columns + kTileOver - 1) / kTileOver * ((p.b_columns + kTileOver - 1) / kTileOver);
  const bool vectors =
      AreVectors(p.a, p.a_columns, p.a_columns) && AreVectors(p.b, p.b_columns, p.b_columns);
  const Scratch<float> partial(parts.count > 1 ? parts.count * size : 0);
  Launch(vectors ? MultiplyOverRowsKernel<true> : MultiplyOverRowsKernel<false>,
         {.blocks = tiles,
          .blocks_y = parts.count,
          .threads = kThreads,
          .shared_bytes = 2 * kDepth * kColumnStride * sizeof(float),
          .lanes = Lanes::kMeet},
         p, parts.length, parts.count > 1 ? partial.get() : p.c);
  if (parts.count > 1) AddParts(partial.get(), parts.count, size, p.c);
}

void SumRows(const float* x, int64_t rows, int64_t columns, float* sums) {
  if (rows == 0) return ClearMemory(sums, sizeof(float) * static_cast<size_t>(columns));
  const Parts parts(rows);
  const Scratch<float> partial(parts.count > 1 ? parts.count * columns : 0);
  Launch(SumRowsKernel,
         {.blocks = (columns + kWarpLanes - 1) / kWarpLanes,
          .blocks_y = parts.count,
          .threads = kThreads,
          .shared_bytes = kThreads * sizeof(float),
          .lanes = Lanes::kMeet},
         x, rows, columns, parts.length, parts.count > 1 ? partial.get() : sums);
  if (parts.count > 1) AddParts(partial.get(), parts.count, columns, sums);
}

}  // namespace torii::kernels::cuda
