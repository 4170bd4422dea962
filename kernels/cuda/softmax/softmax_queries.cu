#include "kernels/cuda/device.h"
#include "kernels/cuda/softmax/softmax_steps.h"
#include "kernels/cuda/sort.h"
#include "kernels/cuda/uses.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr float kLowest = -3.402823466e38F;

// What a row of a query knows of its positive. Rows with the same positive leave the work to the
// first of them.
struct RowTerms {
  double dot;          // the logit without offset, base 2
  double exponential;  // of the first row with this positive, for the query's other rows; else 0
  double others;       // of the first row: sum of the exponentials of all other columns
  double weight;       // weight / (tau * sum of exponentials)
  int64_t first;       // row of the query with this positive
  bool excluded;       // the positive, for the query's other rows
};

struct QueryArgs {
  SoftmaxArgs loss;
  const Bf16Pair* q;  // [padded queries, padded dim / 2]
  const Bf16Pair* v;
  int64_t padded_queries, padded_dim;
  int64_t splits;
  const float* out;
  const float* sum;
  const float* shift;
  RowTerms* terms;  // [rows]
  float* slope;
  float* offset;
};

// A warp has a query; its lanes share the rows, or the dimensions. What a lane leaves in memory for
// the others is there after __syncwarp.
class Query {
 public:
  __device__ Query(const QueryArgs& args, int64_t query)
      : args_(args),
        query_(query),
        begin_(args.loss.row_begin != nullptr ? args.loss.row_begin[query] : query),
        end_(args.loss.row_begin != nullptr ? args.loss.row_begin[query + 1] : query + 1) {}

  __device__ void Finish() {
    ComputeDots();
    FindFirstRows();
    FindShift();
    SumOthers();
    FinishRows();
    const double scale = Slopes();
    WriteGradient(static_cast<float>(scale));
    if (LaneOf() == 0) {
      args_.offset[query_] =
          scale == 0 ? -INFINITY : static_cast<float>(log2(scale) - static_cast<double>(shift_));
    }
  }

 private:
  template <class Visit>
  __device__ void ForRowsOfLane(const Visit& visit) const {
    for (int64_t n = begin_ + LaneOf(); n < end_; n += kWarpLanes) visit(n, args_.terms[n]);
  }

  // Of the rounded operands, as the pass had them.
  __device__ void ComputeDots() {
    const int64_t pairs = args_.padded_dim / 2;
    const Bf16Pair* const q = args_.q + query_ * pairs;
    for (int64_t n = begin_; n < end_; ++n) {
      const Bf16Pair* const v = args_.v + args_.loss.positive[n] * pairs;
      double dot = 0;
      for (int64_t d = LaneOf(); d < pairs; d += kWarpLanes) {
        dot += static_cast<double>(FirstOf(q[d])) * static_cast<double>(FirstOf(v[d])) +
               static_cast<double>(SecondOf(q[d])) * static_cast<double>(SecondOf(v[d]));
      }
      dot = WarpSum(dot);
      if (LaneOf() == 0) args_.terms[n].dot = dot;
    }
    __syncwarp();
  }

  __device__ void FindFirstRows() {
    const int64_t* const positive = args_.loss.positive;
    ForRowsOfLane([&](int64_t n, RowTerms& row) {
      row.first = begin_;
      while (positive[row.first] != positive[n]) ++row.first;
      row.excluded = false;
      if (args_.loss.excluded_begin == nullptr) return;
      for (int64_t k = args_.loss.excluded_begin[query_]; k < args_.loss.excluded_begin[query_ + 1];
           ++k) {
        row.excluded = row.excluded || args_.loss.excluded[k] == positive[n];
      }
    });
    __syncwarp();
  }

  // Not below the shifts of the pass, nor the largest logit of a positive.
  __device__ void FindShift() {
    shift_ = kLowest;
    for (int64_t split = 0; split < args_.splits; ++split) {
      shift_ = fmaxf(shift_, args_.shift[split * args_.padded_queries + query_]);
    }
    ForRowsOfLane([&](int64_t n, const RowTerms& row) {
      float offset = args_.loss.positive_offset[n];
      if (!row.excluded) offset = fmaxf(offset, args_.loss.column_offset[args_.loss.positive[n]]);
      shift_ = fmaxf(shift_, static_cast<float>(row.dot + static_cast<double>(offset) * kLog2E));
    });
    for (int step = kWarpLanes / 2; step > 0; step /= 2) {
      shift_ = fmaxf(shift_, __shfl_xor_sync(kAllLanes, shift_, step));
    }
  }

  // 2 to what the shift of a split lacks.
  __device__ float FactorOf(int64_t split) const {
    return exp2f(args_.shift[split * args_.padded_queries + query_] - shift_);
  }

  // For each positive the sum of the exponentials of all other columns, none of it by subtraction:
  // of those before it and of those after it.
  __device__ void SumOthers() {
    ForRowsOfLane([&](int64_t n, RowTerms& row) {
      const auto offset = static_cast<double>(args_.loss.column_offset[args_.loss.positive[n]]);
      row.exponential = row.first == n && !row.excluded
                            ? exp2(row.dot + offset * kLog2E - static_cast<double>(shift_))
                            : 0;
    });
    __syncwarp();
    if (LaneOf() == 0) {
      double before = 0, after = 0;
      for (int64_t split = 0; split < args_.splits; ++split) {
        const float sum = args_.sum[split * args_.padded_queries + query_];
        if (sum != 0) before += static_cast<double>(sum) * static_cast<double>(FactorOf(split));
      }
      for (int64_t n = begin_; n < end_; ++n) {
        args_.terms[n].others = before;
        before += args_.terms[n].exponential;
      }
      for (int64_t n = end_; n-- > begin_;) {
        args_.terms[n].others += after;
        after += args_.terms[n].exponential;
      }
    }
    __syncwarp();
  }

  // With sum = own + others the loss of a row is log1p(others / own).
  __device__ void FinishRows() {
    ForRowsOfLane([&](int64_t n, RowTerms& row) {
      const double others = args_.terms[row.first].others;
      const auto offset = static_cast<double>(args_.loss.positive_offset[n]);
      const double below = static_cast<double>(shift_) - (row.dot + offset * kLog2E);
      const double own = exp2(-below);
      const double ratio = others / own;
      const double loss =
          ratio < static_cast<double>(INFINITY) ? log1p(ratio) : below / kLog2E + log(own + others);
      args_.loss.row_loss[n] = loss + offset - static_cast<double>(args_.loss.target_offset[n]);
      row.weight = static_cast<double>(args_.loss.weight[n]) * args_.loss.inverse_temperature /
                   (own + others);
    });
    __syncwarp();
  }

  // In its own rows a positive has the gradient P - 1 = -others / sum, in the query's other rows P
  // like any column. Returns what all other columns weigh.
  __device__ double Slopes() {
    double scale = 0;
    ForRowsOfLane([&](int64_t, const RowTerms& row) { scale += row.weight; });
    scale = WarpSum(scale);
    ForRowsOfLane([&](int64_t n, const RowTerms& row) {
      double own = 0, rest = 0;
      for (int64_t m = begin_; m < end_ && row.first == n; ++m) {
        (args_.terms[m].first == n ? own : rest) += args_.terms[m].weight;
      }
      args_.slope[n] = static_cast<float>(row.exponential * rest - row.others * own);
    });
    __syncwarp();
    return scale;
  }

  __device__ void WriteGradient(float scale) {
    const int64_t dim = args_.loss.dim;
    for (int64_t d = LaneOf(); d < dim; d += kWarpLanes) {
      float sum = 0;
      for (int64_t split = 0; split < args_.splits; ++split) {
        const int64_t row = split * args_.padded_queries + query_;
        if (args_.sum[row] != 0) sum += FactorOf(split) * args_.out[row * args_.padded_dim + d];
      }
      sum *= scale;
      for (int64_t n = begin_; n < end_; ++n) {
        if (args_.terms[n].first != n) continue;
        sum += args_.slope[n] * args_.loss.v[args_.loss.positive[n] * dim + d];
      }
      args_.loss.q_grad[query_ * dim + d] = sum;
    }
  }

  const QueryArgs& args_;
  const int64_t query_, begin_, end_;
  float shift_ = 0;
};

// Queries that only fill the last tile weigh nothing.
__global__ void FinishQueriesKernel(const QueryArgs args) {
  for (int64_t i = GlobalWarp(); i < args.padded_queries; i += GridWarps()) {
    if (i < args.loss.b) {
      Query(args, i).Finish();
    } else if (LaneOf() == 0) {
      args.offset[i] = -INFINITY;
    }
  }
}

struct ColumnArgs {
  int64_t columns, dim, padded_columns;
  int padded_dim_bits;
  int64_t splits;
  const float* out;
  float scale;
  float* v_grad;
};

__global__ void FinishColumnsKernel(const ColumnArgs args) {
  const int bits = args.padded_dim_bits;
  for (int64_t i = GlobalThread(); i < args.columns << bits; i += GridThreads()) {
    const int64_t column = i >> bits, d = i - (column << bits);
    if (d >= args.dim) continue;
    float sum = 0;
    for (int64_t split = 0; split < args.splits; ++split) {
      sum += args.out[(split * args.padded_columns << bits) + i];
    }
    args.v_grad[column * args.dim + d] = sum * args.scale;
  }
}

__global__ void FollowKernel(const uint32_t* row, int64_t rows, const uint32_t* query_of_row,
                             const float* slope, uint32_t* query, float* weight) {
  for (int64_t k = GlobalThread(); k < rows; k += GridThreads()) {
    query[k] = query_of_row[row[k]];
    weight[k] = slope[row[k]];
  }
}

}  // namespace

void FinishQueries(const SoftmaxArgs& args, const SoftmaxOperands& operands,
                   const PassResults& pass, const FinishedQueries& finished) {
  const Scratch<RowTerms> terms(args.rows);
  const PaddedSizes& sizes = operands.sizes();
  Launch(FinishQueriesKernel,
         {.blocks = BlocksFor(sizes.queries * kWarpLanes, kThreads),
          .threads = kThreads,
          .lanes = Lanes::kMeet},
         QueryArgs{args, reinterpret_cast<const Bf16Pair*>(operands.q()),
                   reinterpret_cast<const Bf16Pair*>(operands.v()), sizes.queries, sizes.dim,
                   pass.splits, pass.out.get(), pass.sum.get(), pass.shift.get(), terms.get(),
                   finished.slope, finished.offset});
}

void FinishColumns(const SoftmaxArgs& args, const SoftmaxOperands& operands,
                   const PassResults& pass, const float* slope) {
  const PaddedSizes& sizes = operands.sizes();
  // The second pass summed q / tau in base 2, and its exponentials had 1 / tau in them.
  const auto scale = static_cast<float>(1 / (args.inverse_temperature * kLog2E));
  Launch(FinishColumnsKernel,
         {.blocks = BlocksFor(args.u * sizes.dim, kThreads), .threads = kThreads},
         ColumnArgs{args.u, args.dim, sizes.columns, BitsBelow(sizes.dim), pass.splits,
                    pass.out.get(), scale, args.v_grad});
  const Uses uses(args.positive, args.rows, args.u);
  const Scratch<uint32_t> query(args.rows);
  const Scratch<float> weight(args.rows);
  Launch(FollowKernel, {.blocks = BlocksFor(args.rows, kThreads), .threads = kThreads},
         uses.place(), args.rows, operands.query_of_row(), slope, query.get(), weight.get());
  SumUses({args.q, args.dim, args.dim}, uses, query.get(), weight.get(),
          {.out = args.v_grad, .adds = true});
}

}  // namespace torii::kernels::cuda
