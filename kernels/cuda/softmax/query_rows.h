// The rows of one query, which share its logits: their losses, and the gradients at their positives.
// Exponents are in base 2; exponentials are relative to a shift of the query.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/softmax/softmax_steps.h"

namespace torii::kernels::cuda {

inline constexpr float kLowest = -3.402823466e38F;

// What a row of a query knows of its positive. Rows with the same positive leave the work to the
// first of them.
struct RowTerms {
  double dot;          // the logit without offset
  double exponential;  // of the first row with this positive, for the query's other rows; else 0
  double others;       // of the first row: sum of the exponentials of all other columns
  double own;          // exponential of the row's own logit
  double weight;       // weight / (tau * sum of exponentials)
  int64_t first;       // row of the query with this positive
  bool excluded;       // the positive, for the query's other rows
};

// Room in shared memory for the terms of so many rows.
inline constexpr int kNearRows = 32;

// One warp calls all but Describe and LargestExponent; its lanes share the rows. What a lane leaves
// in memory for the others is there after __syncwarp.
class QueryRows {
 public:
  // terms: of all rows of the loss. near: [kNearRows], used instead where the query has no more rows;
  // null: there is none.
  __device__ QueryRows(const SoftmaxArgs& loss, int64_t query, RowTerms* terms, RowTerms* near)
      : loss_(loss),
        query_(query),
        begin_(loss.row_begin != nullptr ? loss.row_begin[query] : query),
        end_(loss.row_begin != nullptr ? loss.row_begin[query + 1] : query + 1),
        terms_(near != nullptr && end_ - begin_ <= kNearRows ? near : terms + begin_) {}

  __device__ int64_t begin() const { return begin_; }
  __device__ int64_t end() const { return end_; }
  __device__ RowTerms& Terms(int64_t n) const { return terms_[n - begin_]; }

  template <class Visit>
  __device__ void ForRowsOfLane(const Visit& visit) const {
    for (int64_t n = begin_ + LaneOf(); n < end_; n += kWarpLanes) visit(n, Terms(n));
  }

  // dot: of row n with its positive.
  __device__ void Describe(int64_t n, double dot) const {
    RowTerms& row = Terms(n);
    row.dot = dot;
    row.first = begin_;
    while (loss_.positive[row.first] != loss_.positive[n]) ++row.first;
    row.excluded = AreSeveral() && IsExcluded(loss_.positive[n]);
  }

  // The shift must not be below that of any row.
  __device__ float LargestExponent(int64_t n) const {
    const RowTerms& row = Terms(n);
    float offset = loss_.positive_offset[n];
    if (AreSeveral() && !row.excluded) {
      offset = fmaxf(offset, loss_.column_offset[loss_.positive[n]]);
    }
    return static_cast<float>(row.dot + static_cast<double>(offset) * kLog2E);
  }

  // sum: of the exponentials of all columns that are no row's positive. For each positive the sum of
  // the exponentials of all other columns, none of it by subtraction: of those before it and of those
  // after it.
  __device__ void SumOthers(double sum, double shift) const {
    ForRowsOfLane([&](int64_t n, RowTerms& row) {
      row.exponential = 0;
      if (!AreSeveral() || row.first != n || row.excluded) return;
      const auto offset = static_cast<double>(loss_.column_offset[loss_.positive[n]]);
      row.exponential = exp2(row.dot + offset * kLog2E - shift);
    });
    __syncwarp();
    if (LaneOf() == 0) {
      double before = sum, after = 0;
      for (int64_t n = begin_; n < end_; ++n) {
        Terms(n).others = before;
        before += Terms(n).exponential;
      }
      for (int64_t n = end_; n-- > begin_;) {
        Terms(n).others += after;
        after += Terms(n).exponential;
      }
    }
    __syncwarp();
  }

  // After SumOthers.
  __device__ void Weigh(double shift) const {
    ForRowsOfLane([&](int64_t n, RowTerms& row) {
      row.own = exp2(-Below(n, row, shift));
      row.weight = static_cast<double>(loss_.weight[n]) * loss_.inverse_temperature /
                   (row.own + Terms(row.first).others);
    });
    __syncwarp();
  }

  // After Weigh: what the exponentials of columns that are no row's positive weigh in the gradient.
  __device__ double Scale() const {
    double scale = 0;
    ForRowsOfLane([&](int64_t, const RowTerms& row) { scale += row.weight; });
    return WarpSum(scale);
  }

  // After Weigh. In its own rows a positive has the gradient P - 1 = -others / sum, in the query's
  // other rows P like any column: slope[n] for the first row with it, 0 for the others.
  __device__ void WriteSlopes(float* slope) const {
    ForRowsOfLane([&](int64_t n, const RowTerms& row) {
      double own = 0, rest = 0;
      for (int64_t m = begin_; m < end_ && row.first == n; ++m) {
        (Terms(m).first == n ? own : rest) += Terms(m).weight;
      }
      slope[n] = static_cast<float>(row.exponential * rest - row.others * own);
    });
    __syncwarp();
  }

  // After Weigh. With sum = own + others the loss of a row is log1p(others / own).
  __device__ void WriteLosses(double shift) const {
    ForRowsOfLane([&](int64_t n, const RowTerms& row) {
      const double others = Terms(row.first).others;
      const double ratio = others / row.own;
      const double loss = ratio < static_cast<double>(INFINITY)
                              ? log1p(ratio)
                              : Below(n, row, shift) / kLog2E + log(row.own + others);
      loss_.row_loss[n] = loss + static_cast<double>(loss_.positive_offset[n]) -
                          static_cast<double>(loss_.target_offset[n]);
    });
  }

 private:
  // Only then does anything ask for a positive's logit among the other columns.
  __device__ bool AreSeveral() const { return end_ - begin_ > 1; }

  __device__ bool IsExcluded(int64_t column) const {
    if (loss_.excluded_begin == nullptr) return false;
    bool found = false;
    for (int64_t k = loss_.excluded_begin[query_]; k < loss_.excluded_begin[query_ + 1]; ++k) {
      found = found || loss_.excluded[k] == column;
    }
    return found;
  }

  // How far the row's own logit is below the shift.
  __device__ double Below(int64_t n, const RowTerms& row, double shift) const {
    return shift - (row.dot + static_cast<double>(loss_.positive_offset[n]) * kLog2E);
  }

  const SoftmaxArgs& loss_;
  const int64_t query_, begin_, end_;
  RowTerms* const terms_;
};

}  // namespace torii::kernels::cuda
