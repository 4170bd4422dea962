// What a warp has of its rows in a pass of the softmax loss, in registers: the exponents and exponentials
// of a tile, and the results so far. Numbers lie over the lanes as in the sums of matrix products
// (warp_matrix.h): lane l has rows l / 4 and + 8 of a block of 16 rows, and of 8 columns the two from
// l % 4 * 2 on.
#pragma once

#include "kernels/cuda/softmax/softmax_pass.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {

// Shifts move only where the exponentials that a lane has of a row in a tile add up to more than
// this: sums stay in range, and most tiles do without the largest exponent.
constexpr float kMostOfTile = 256;

// kBlocks: blocks of 16 rows of the warp. kShifts: whether the pass finds shifts.
template <int kDim, int kBlocks, bool kShifts>
class PassRows {
 protected:
  static constexpr int kRows = 2 * kBlocks;        // of a lane
  static constexpr int kGroups = kColumnTile / 8;  // of columns of a tile
  static constexpr int kDimGroups = kDim / 8;

  __device__ __forceinline__ explicit PassRows(const PassArgs& args) : args_(args) {}

  // Of the list of hidden pairs.
  struct Range {
    uint32_t begin, end;
  };

  // Row r of the lane's rows.
  __device__ __forceinline__ int64_t Row(int r) const {
    return BlockX() * kRowTile + WarpOfBlock() * 16 * kBlocks + LaneOf() / 4 + r * 8;
  }

  __device__ __forceinline__ void StartShifts() {
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      shift_[r] = args_.row_offset != nullptr ? -args_.row_offset[Row(r)] : 0.0F;
    }
  }

  // The exponents of a tile before their products are added: offsets of columns, less the shifts of
  // the rows.
  __device__ __forceinline__ void BeginExponents(const float* offsets) {
    TORII_UNROLL
    for (int n = 0; n < kGroups; ++n) {
      const float2 offset = *reinterpret_cast<const float2*>(offsets + n * 8 + LaneOf() % 4 * 2);
      TORII_UNROLL
      for (int r = 0; r < kRows; ++r) {
        e_[r / 2][n][r % 2 * 2] = offset.x - shift_[r];
        e_[r / 2][n][r % 2 * 2 + 1] = offset.y - shift_[r];
      }
    }
  }

  // The lanes of a warp read 32 entries at a time.
  __device__ __forceinline__ uint32_t HiddenOfLane(Range hidden) const {
    const uint32_t mine = hidden.begin + static_cast<uint32_t>(LaneOf());
    return mine < hidden.end ? args_.hidden.entry[mine] : kNoEntry;
  }
  static constexpr uint32_t kNoEntry = ~uint32_t{0};

  __device__ __forceinline__ void Hide(Range hidden, uint32_t first_entries) {
    uint32_t entries = first_entries;
    while (hidden.begin < hidden.end) {
      const uint32_t warp = (entries >> kColumnBits) / (16 * kBlocks);
      unsigned of_warp = __ballot_sync(kAllLanes, warp == static_cast<uint32_t>(WarpOfBlock()));
      for (; of_warp != 0; of_warp &= of_warp - 1) {
        const int lane = __ffs(static_cast<int>(of_warp)) - 1;
        HideEntry(static_cast<int>(__shfl_sync(kAllLanes, entries, lane)));
      }
      hidden.begin += kWarpLanes;
      entries = HiddenOfLane(hidden);
    }
  }

  // One lane has the exponent of a pair. All places are looked at, so that e_ stays in registers.
  __device__ __forceinline__ void HideEntry(int entry) {
    const int r = entry >> kColumnBits, c = entry % kColumnTile;
    if (r % 8 * 4 + c % 8 / 2 != LaneOf()) return;
    const int place = (r / 16 % kBlocks * kGroups + c / 8) * 4 + r / 8 % 2 * 2 + c % 2;
    TORII_UNROLL
    for (int m = 0; m < kBlocks; ++m) {
      TORII_UNROLL
      for (int n = 0; n < kGroups; ++n) {
        TORII_UNROLL
        for (int i = 0; i < 4; ++i) {
          if (place == (m * kGroups + n) * 4 + i) e_[m][n][i] = -INFINITY;
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

  __device__ __forceinline__ bool MustMoveShifts(const float (&sum)[kRows]) {
    bool must = started_ != (1U << kRows) - 1;
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) must = must || sum[r] > kMostOfTile;
    return __any_sync(kAllLanes, must);
  }

  // To the largest exponent so far. A row that has had none keeps its zeros.
  __device__ __forceinline__ void MoveShifts() {
    float most[kRows];
    FindLargest(most);
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const bool started = (started_ >> r & 1) != 0;
      const float by = most[r] > (started ? 0 : -INFINITY) ? most[r] : 0;
      const float factor = started ? Exp2(-by) : 1.0F;
      started_ |= (most[r] > -INFINITY ? 1U : 0U) << r;
      shift_[r] += by;
      sum_[r] *= factor;
      TORII_UNROLL
      for (int n = 0; n < kGroups; ++n) {
        e_[r / 2][n][r % 2 * 2] -= by;
        e_[r / 2][n][r % 2 * 2 + 1] -= by;
      }
      TORII_UNROLL
      for (int n = 0; n < kDimGroups; ++n) {
        out_[r / 2][n][r % 2 * 2] *= factor;
        out_[r / 2][n][r % 2 * 2 + 1] *= factor;
      }
    }
  }

  // Sums of the tile alone are taken before they are added to those of the tiles before: short sums
  // are exact. The exponentials lie over the lanes as the products want their first operand: 16
  // columns of it are two groups of 8.
  __device__ __forceinline__ void Exponentiate(float (&sum)[kRows]) {
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      sum[r] = 0;
      TORII_UNROLL
      for (int n = 0; n < kGroups; ++n) {
        const auto& e = e_[r / 2][n];
        const float first = Exp2(e[r % 2 * 2]), second = Exp2(e[r % 2 * 2 + 1]);
        if constexpr (kShifts) {
          sum[r] += first;
          sum[r] += second;
        }
        exponentials_[r / 2][n / 2][n % 2 * 2 + r % 2] = PackBf16(first, second);
      }
    }
  }

  __device__ __forceinline__ void Write(int64_t split) {
    TORII_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const int64_t at = split * args_.rows + Row(r);
      if constexpr (kShifts) {
        sum_[r] += __shfl_xor_sync(kAllLanes, sum_[r], 1);
        sum_[r] += __shfl_xor_sync(kAllLanes, sum_[r], 2);
        if (LaneOf() % 4 == 0) {
          args_.sum[at] = sum_[r];
          args_.shift[at] = (started_ >> r & 1) != 0 ? shift_[r] : -INFINITY;
        }
      }
      TORII_UNROLL
      for (int n = 0; n < kDimGroups; ++n) {
        *reinterpret_cast<float2*>(args_.out + at * kDim + n * 8 + LaneOf() % 4 * 2) = {
            out_[r / 2][n][r % 2 * 2], out_[r / 2][n][r % 2 * 2 + 1]};
      }
    }
  }

  const PassArgs& args_;
  float e_[kBlocks][kGroups][4];                         // exponents of 16 rows and 8 columns
  Bf16Pair exponentials_[kBlocks][kGroups / 2][4] = {};  // of 16 rows and 16 columns
  float out_[kBlocks][kDimGroups][4] = {};
  float sum_[kRows] = {}, shift_[kRows];
  uint32_t started_ = 0;  // bit r: row r has a shift
};

}  // namespace torii::kernels::cuda
