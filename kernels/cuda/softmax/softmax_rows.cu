// The softmax loss from products that are there: a block of threads has a query, whose row of products
// becomes the gradient with respect to them, in place. Each thread has every BlockThreads()th vector of
// four columns. It keeps the first of its vectors in registers and reads the others again.
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/softmax/query_rows.h"
#include "kernels/cuda/softmax/softmax_steps.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kVector = 4;
constexpr int kKeptVectors = 16;
constexpr int kMostThreads = 256;
constexpr int kMostWarps = kMostThreads / kWarpLanes;
constexpr int kBlocksOfMultiprocessor = 2;
constexpr auto kLn2 = static_cast<float>(1 / kLog2E);

using Columns = Floats<kVector>;

struct RowsArgs {
  SoftmaxArgs loss;
  int64_t first_query;
  float* products;
  int64_t stride;
  float inverse_temperature;
  RowTerms* terms;  // [rows]
  float* slope;     // [rows]
};

// What the threads of a block tell one another.
struct Shared {
  RowTerms terms[kNearRows];
  double sum[kMostWarps];
  float most[kMostWarps];
  float scale;
};

class QueryOfBlock {
 public:
  __device__ __forceinline__ QueryOfBlock(const RowsArgs& args, Shared* shared)
      : args_(args),
        shared_(shared),
        rows_(args.loss, args.first_query + BlockX(), args.terms, shared->terms),
        products_(args.products + BlockX() * args.stride),
        vectors_(static_cast<int>((args.loss.u + kVector - 1) / kVector)),
        threads_(static_cast<int>(BlockThreads())) {}

  __device__ __forceinline__ void Run() {
    DescribeRows();
    HideColumns();
    ReadLogits();
    shift_ = MostOfBlock(most_);
    const double sum = SumOfBlock(Exponentiate());
    const double shift = static_cast<double>(shift_) * kLog2E;
    if (WarpOfBlock() == 0) {
      rows_.SumOthers(sum, shift);
      rows_.Weigh(shift);
      const double scale = rows_.Scale();
      if (LaneOf() == 0) shared_->scale = static_cast<float>(scale);
    }
    __syncthreads();
    WriteGradients(shared_->scale);
    if (WarpOfBlock() == 0) {
      rows_.WriteSlopes(args_.slope);
      rows_.WriteLosses(shift);
    }
    __syncthreads();
    WriteSlopes();
  }

 private:
  template <class Visit>
  __device__ __forceinline__ void ForRowsOfThread(const Visit& visit) const {
    TORII_ONE_BY_ONE
    for (int64_t n = rows_.begin() + Thread(); n < rows_.end(); n += threads_) visit(n);
  }

  __device__ __forceinline__ void DescribeRows() {
    const double scale = static_cast<double>(args_.inverse_temperature) * kLog2E;
    ForRowsOfThread([&](int64_t n) {
      rows_.Describe(n, static_cast<double>(products_[args_.loss.positive[n]]) * scale);
      most_ = fmaxf(most_, rows_.LargestExponent(n) * kLn2);
    });
    __syncthreads();
  }

  // The positives are summed apart (SumOthers).
  __device__ __forceinline__ void HideColumns() const {
    const SoftmaxArgs& loss = args_.loss;
    ForRowsOfThread([&](int64_t n) { products_[loss.positive[n]] = -INFINITY; });
    if (loss.excluded_begin != nullptr) {
      const int64_t query = args_.first_query + BlockX(), end = loss.excluded_begin[query + 1];
      TORII_ONE_BY_ONE
      for (int64_t k = loss.excluded_begin[query] + Thread(); k < end; k += threads_) {
        products_[loss.excluded[k]] = -INFINITY;
      }
    }
    __syncthreads();
  }

  // Columns behind the last are as removed ones. A column that is removed does not count, whatever its
  // product is.
  __device__ __forceinline__ Columns ReadProducts(int v) const {
    if (v >= vectors_) return {{0, 0, 0, 0}};
    return LoadPastCache(products_ + int64_t{v} * kVector);
  }
  __device__ __forceinline__ Columns ReadOffsets(int v) const {
    if (v >= vectors_) return {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}};
    return Load<kVector>(args_.loss.column_offset + int64_t{v} * kVector);
  }
  __device__ __forceinline__ Columns LogitsOf(int v, const Columns& products) const {
    const Columns offset = ReadOffsets(v);
    Columns logits;
    TORII_UNROLL
    for (int i = 0; i < kVector; ++i) {
      logits.at[i] = offset.at[i] == -INFINITY
                         ? -INFINITY
                         : products.at[i] * args_.inverse_temperature + offset.at[i];
    }
    return logits;
  }

  __device__ static __forceinline__ float Largest(const Columns& x) {
    return fmaxf(fmaxf(x.at[0], x.at[1]), fmaxf(x.at[2], x.at[3]));
  }

  // Returns the sum of the exponentials, which take the place of the logits.
  __device__ static __forceinline__ float ExponentiateVector(float shift, Columns& x) {
    TORII_UNROLL
    for (int i = 0; i < kVector; ++i) x.at[i] = expf(x.at[i] - shift);
    return (x.at[0] + x.at[1]) + (x.at[2] + x.at[3]);
  }

  // visit(v, kept_[k]) for the vectors v that the thread keeps, some of which may not exist.
  template <class Visit>
  __device__ __forceinline__ void ForKeptVectors(const Visit& visit) {
    TORII_UNROLL
    for (int k = 0; k < kKeptVectors; ++k) {
      visit(k * threads_ + Thread(), kept_[k]);
    }
  }
  template <class Visit>
  __device__ __forceinline__ void ForOtherVectors(const Visit& visit) const {
    TORII_ONE_BY_ONE
    for (int v = kKeptVectors * threads_ + Thread(); v < vectors_; v += threads_) visit(v);
  }

  // All products that are kept are on their way before the first is looked at. The vectors that are
  // not kept are summed with a shift of their own, the largest logit so far.
  __device__ __forceinline__ void ReadLogits() {
    ForKeptVectors([&](int v, Columns& x) { x = ReadProducts(v); });
    ForKeptVectors([&](int v, Columns& x) {
      x = LogitsOf(v, x);
      most_ = fmaxf(most_, Largest(x));
    });
    ForOtherVectors([&](int v) {
      Columns x = LogitsOf(v, ReadProducts(v));
      const float largest = Largest(x);
      if (largest > others_shift_) {
        others_sum_ *= static_cast<double>(expf(others_shift_ - largest));
        others_shift_ = largest;
      }
      others_sum_ += static_cast<double>(ExponentiateVector(others_shift_, x));
    });
    most_ = fmaxf(most_, others_shift_);
  }

  // The sum of the thread's columns.
  __device__ __forceinline__ double Exponentiate() {
    float sum = 0;
    ForKeptVectors([&](int, Columns& x) { sum += ExponentiateVector(shift_, x); });
    return static_cast<double>(sum) +
           others_sum_ * static_cast<double>(expf(others_shift_ - shift_));
  }

  __device__ __forceinline__ void WriteGradients(float scale) {
    const auto write = [&](int v, Columns& x) {
      TORII_UNROLL
      for (int i = 0; i < kVector; ++i) x.at[i] *= scale;
      if (v < vectors_) Store(products_ + int64_t{v} * kVector, x);
    };
    ForKeptVectors(write);
    ForOtherVectors([&](int v) {
      Columns x = LogitsOf(v, ReadProducts(v));
      ExponentiateVector(shift_, x);
      write(v, x);
    });
  }

  // Over the zeros that the hidden positives have.
  __device__ __forceinline__ void WriteSlopes() const {
    ForRowsOfThread([&](int64_t n) {
      if (rows_.Terms(n).first == n) products_[args_.loss.positive[n]] = args_.slope[n];
    });
  }

  __device__ __forceinline__ float MostOfBlock(float most) const {
    most = WarpMost(most);
    if (LaneOf() == 0) shared_->most[WarpOfBlock()] = most;
    __syncthreads();
    for (int w = 0; w < threads_ / kWarpLanes; ++w) most = fmaxf(most, shared_->most[w]);
    return most;
  }

  __device__ __forceinline__ double SumOfBlock(double mine) const {
    mine = WarpSum(mine);
    if (LaneOf() == 0) shared_->sum[WarpOfBlock()] = mine;
    __syncthreads();
    double sum = 0;
    for (int w = 0; w < threads_ / kWarpLanes; ++w) sum += shared_->sum[w];
    return sum;
  }

  const RowsArgs& args_;
  Shared* const shared_;
  const QueryRows rows_;
  float* const products_;
  const int vectors_, threads_;
  Columns kept_[kKeptVectors];
  float most_ = kLowest, shift_ = 0;
  float others_shift_ = kLowest;
  double others_sum_ = 0;
};

__global__ void __launch_bounds__(kMostThreads, kBlocksOfMultiprocessor)
    FinishProductsKernel(const RowsArgs args) {
  QueryOfBlock(args, SharedMemory<Shared>()).Run();
}

// As many as keep all columns, if a block may have so many.
int ThreadsFor(int64_t columns) {
  constexpr int64_t kOfWarp = int64_t{kWarpLanes} * kVector * kKeptVectors;
  const int64_t warps = (columns + kOfWarp - 1) / kOfWarp;
  return static_cast<int>(warps < kMostWarps ? warps : kMostWarps) * kWarpLanes;
}

}  // namespace

void FinishProducts(const SoftmaxRowsArgs& args) {
  const SoftmaxArgs& loss = args.loss;
  const Scratch<RowTerms> terms(loss.rows);
  const Scratch<float> slope(loss.rows);
  Launch(FinishProductsKernel,
         {.blocks = args.queries,
          .threads = ThreadsFor(loss.u),
          .shared_bytes = sizeof(Shared),
          .lanes = Lanes::kMeet},
         RowsArgs{loss, args.first_query, args.products, args.stride,
                  static_cast<float>(loss.inverse_temperature), terms.get(), slope.get()});
}

}  // namespace torii::kernels::cuda
