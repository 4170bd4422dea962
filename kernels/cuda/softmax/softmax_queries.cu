#include "kernels/cuda/device.h"
#include "kernels/cuda/softmax/query_rows.h"
#include "kernels/cuda/softmax/softmax_steps.h"
#include "kernels/cuda/sort.h"
#include "kernels/cuda/uses.h"
#include "kernels/cuda/warp_matrix.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;
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

// A warp has a query; its lanes share the rows, or the dimensions.
class Query {
 public:
  __device__ Query(const QueryArgs& args, int64_t query)
      : args_(args), query_(query), rows_(args.loss, query, args.terms, nullptr) {}

  __device__ void Finish() {
    DescribeRows();
    FindShift();
    const auto shift = static_cast<double>(shift_);
    rows_.SumOthers(SumOfPass(), shift);
    rows_.Weigh(shift);
    rows_.WriteLosses(shift);
    rows_.WriteSlopes(args_.slope);
    const double scale = rows_.Scale();
    WriteGradient(static_cast<float>(scale));
    if (LaneOf() == 0) {
      args_.offset[query_] =
          scale == 0 ? -INFINITY : static_cast<float>(log2(scale) - static_cast<double>(shift_));
    }
  }

 private:
  // Of the rounded operands, as the pass had them.
  __device__ void DescribeRows() {
    const int64_t pairs = args_.padded_dim / 2;
    const Bf16Pair* const q = args_.q + query_ * pairs;
    for (int64_t n = rows_.begin(); n < rows_.end(); ++n) {
      const Bf16Pair* const v = args_.v + args_.loss.positive[n] * pairs;
      double dot = 0;
      for (int64_t d = LaneOf(); d < pairs; d += kWarpLanes) {
        dot += static_cast<double>(FirstOf(q[d])) * static_cast<double>(FirstOf(v[d])) +
               static_cast<double>(SecondOf(q[d])) * static_cast<double>(SecondOf(v[d]));
      }
      dot = WarpSum(dot);
      if (LaneOf() == 0) rows_.Terms(n).dot = dot;
    }
    __syncwarp();
    rows_.ForRowsOfLane([&](int64_t n, const RowTerms& row) { rows_.Describe(n, row.dot); });
    __syncwarp();
  }

  // Not below the shifts of the pass, nor the largest logit of a positive.
  __device__ void FindShift() {
    shift_ = kLowest;
    for (int64_t split = 0; split < args_.splits; ++split) {
      shift_ = fmaxf(shift_, args_.shift[split * args_.padded_queries + query_]);
    }
    rows_.ForRowsOfLane(
        [&](int64_t n, const RowTerms&) { shift_ = fmaxf(shift_, rows_.LargestExponent(n)); });
    shift_ = WarpMost(shift_);
  }

  // 2 to what the shift of a split lacks.
  __device__ float FactorOf(int64_t split) const {
    return exp2f(args_.shift[split * args_.padded_queries + query_] - shift_);
  }

  __device__ double SumOfPass() const {
    double total = 0;
    for (int64_t split = 0; split < args_.splits; ++split) {
      const float sum = args_.sum[split * args_.padded_queries + query_];
      if (sum != 0) total += static_cast<double>(sum) * static_cast<double>(FactorOf(split));
    }
    return total;
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
      for (int64_t n = rows_.begin(); n < rows_.end(); ++n) {
        if (rows_.Terms(n).first != n) continue;
        sum += args_.slope[n] * args_.loss.v[args_.loss.positive[n] * dim + d];
      }
      args_.loss.q_grad[query_ * dim + d] = sum;
    }
  }

  const QueryArgs& args_;
  const int64_t query_;
  const QueryRows rows_;
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
