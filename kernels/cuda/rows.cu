// Rows of embedding tables: gathered, and updated from their gradients.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/runs.h"
#include "kernels/optimizer_rules.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;
// Rows that a group of lanes reads at once.
constexpr int kRowsAtOnce = 4;

// 2^lane_bits lanes copy a row.
template <int kVector>
__global__ void GatherKernel(const GatherArgs args, int lane_bits) {
  const int64_t lanes = int64_t{1} << lane_bits;
  const int64_t step = (GridThreads() >> lane_bits) * kRowsAtOnce;
  for (int64_t first = (GlobalThread() >> lane_bits) * kRowsAtOnce; first < args.count;
       first += step) {
    for (int64_t d = (GlobalThread() & (lanes - 1)) * kVector; d < args.dim; d += lanes * kVector) {
      Floats<kVector> values[kRowsAtOnce];
      TORII_UNROLL
      for (int r = 0; r < kRowsAtOnce; ++r) {
        if (first + r >= args.count) break;
        values[r] = Load<kVector>(args.rows + args.slots[first + r] * args.stride + d);
      }
      TORII_UNROLL
      for (int r = 0; r < kRowsAtOnce; ++r) {
        if (first + r < args.count) Store(args.out + (first + r) * args.dim + d, values[r]);
      }
    }
  }
}

template <int kVector>
void GatherVectors(const GatherArgs& args) {
  int lane_bits = 0;
  while (lane_bits < 5 && (int64_t{kVector} << lane_bits) < args.dim) ++lane_bits;
  const int64_t groups = (args.count + kRowsAtOnce - 1) / kRowsAtOnce;
  Launch(GatherKernel<kVector>, {.blocks = BlocksFor(groups << lane_bits, kThreads)}, args,
         lane_bits);
}

void Gather(const GatherArgs& args) {
  if (args.count == 0 || args.dim == 0) return;
  if (AreVectors(args.rows, args.dim, args.stride) && AreVectors(args.out, args.dim, args.dim)) {
    return GatherVectors<4>(args);
  }
  GatherVectors<1>(args);
}

// One weight by its rule. second: Adam's.
template <OptimizerRule kRule>
__device__ inline float Updated(const OptimizerStep& step, float w, float g, float rate,
                                float& state, float& second) {
  if constexpr (kRule == OptimizerRule::kSgd) return Sgd(step, w, g);
  if constexpr (kRule == OptimizerRule::kMomentum) return Momentum(step, w, g, state);
  if constexpr (kRule == OptimizerRule::kRowwiseAdagrad) return w - rate * g;
  if constexpr (kRule == OptimizerRule::kAdagrad) return Adagrad(step, w, g, state);
  if constexpr (kRule == OptimizerRule::kAdam) return Adam(step, w, g, state, second);
}

// A warp finishes a row. Where the row is wider than the warp's vectors, row-wise Adagrad sums its
// gradients twice: for their squares, and for the update.
template <OptimizerRule kRule, int kVector>
class RowUpdate {
 public:
  __device__ RowUpdate(const RowStep& step, const TouchedRowList& touched, int64_t row,
                       const float* partial)
      : step_(step),
        gradients_{touched.gradients},
        begin_(touched.begin[row]),
        end_(touched.begin[row + 1]),
        partial_(partial) {
    const int64_t slot = static_cast<int64_t>(touched.slots[row]) - step.first_slot;
    weights_ = step.weights + slot * step.stride;
    state_ = step.state + slot * step.state_stride;
  }

  __device__ void Run() const {
    Floats<kVector> gradient{};
    float rate = 0;
    if constexpr (kRule == OptimizerRule::kRowwiseAdagrad) rate = RateOfRow(&gradient);
    const bool is_known = kRule == OptimizerRule::kRowwiseAdagrad && step_.dim <= kWidth;
    for (int64_t d = LaneOf() * kVector; d < step_.dim; d += kWidth) {
      if (!is_known) gradient = GradientAt(d);
      UpdateAt(d, gradient, rate);
    }
  }

 private:
  static constexpr int64_t kWidth = kWarpLanes * kVector;

  __device__ Floats<kVector> GradientAt(int64_t d) const {
    Floats<kVector> g = SumOfRun<kVector>(gradients_, begin_, end_, d, partial_, step_.dim);
    if (step_.step.l2 == 0) return g;
    const Floats<kVector> w = Load<kVector>(weights_ + d);
    TORII_UNROLL
    for (int k = 0; k < kVector; ++k) g.at[k] += step_.step.l2 * w.at[k];
    return g;
  }

  // gradient: becomes the lane's last.
  __device__ float RateOfRow(Floats<kVector>* gradient) const {
    float squares = 0;
    for (int64_t d = LaneOf() * kVector; d < step_.dim; d += kWidth) {
      *gradient = GradientAt(d);
      TORII_UNROLL
      for (int k = 0; k < kVector; ++k) squares += gradient->at[k] * gradient->at[k];
    }
    float h = *state_;
    __syncwarp();  // all lanes have read it
    const float mean = WarpSum(squares) / static_cast<float>(step_.dim);
    const float rate = RowwiseRate(step_.step, mean, h);
    if (LaneOf() == 0) *state_ = h;
    return rate;
  }

  __device__ void UpdateAt(int64_t d, const Floats<kVector>& gradient, float rate) const {
    constexpr bool kHasState = kRule == OptimizerRule::kMomentum ||
                               kRule == OptimizerRule::kAdagrad || kRule == OptimizerRule::kAdam;
    constexpr bool kHasSecond = kRule == OptimizerRule::kAdam;
    Floats<kVector> w = Load<kVector>(weights_ + d), first{}, second{};
    if constexpr (kHasState) first = Load<kVector>(state_ + d);
    if constexpr (kHasSecond) second = Load<kVector>(state_ + step_.dim + d);
    TORII_UNROLL
    for (int k = 0; k < kVector; ++k) {
      w.at[k] =
          Updated<kRule>(step_.step, w.at[k], gradient.at[k], rate, first.at[k], second.at[k]);
    }
    Store(weights_ + d, w);
    if constexpr (kHasState) Store(state_ + d, first);
    if constexpr (kHasSecond) Store(state_ + step_.dim + d, second);
  }

  const RowStep& step_;
  PointedRows gradients_;
  int64_t begin_, end_;
  const float* partial_;
  float* weights_;
  float* state_;
};

template <OptimizerRule kRule, int kVector>
__global__ void UpdateKernel(const RowStep step, const TouchedRowList touched,
                             const float* partial) {
  if (step.gate != nullptr && !*step.gate) return;
  for (int64_t row = GlobalWarp(); row < touched.rows; row += GridWarps()) {
    RowUpdate<kRule, kVector>(step, touched, row, partial).Run();
  }
}

template <OptimizerRule kRule, int kVector>
void UpdateBy(const RowStep& step, const TouchedRowList& touched) {
  const Scratch<float> partial(ChunkSlots(touched.places) * step.dim);
  SumChunks<kVector>(PointedRows{touched.gradients}, touched.begin, touched.rows, touched.places,
                     step.dim, partial.get());
  constexpr bool kMeet = kRule == OptimizerRule::kRowwiseAdagrad;
  Launch(UpdateKernel<kRule, kVector>,
         {.blocks = BlocksFor(touched.rows * kWarpLanes, kThreads),
          .threads = kThreads,
          .lanes = kMeet ? Lanes::kMeet : Lanes::kApart},
         step, touched, partial.get());
}

template <int kVector>
void UpdateVectors(const RowStep& step, const TouchedRowList& touched) {
  switch (step.step.rule) {
    case OptimizerRule::kSgd:
      return UpdateBy<OptimizerRule::kSgd, kVector>(step, touched);
    case OptimizerRule::kMomentum:
      return UpdateBy<OptimizerRule::kMomentum, kVector>(step, touched);
    case OptimizerRule::kRowwiseAdagrad:
      return UpdateBy<OptimizerRule::kRowwiseAdagrad, kVector>(step, touched);
    case OptimizerRule::kAdagrad:
      return UpdateBy<OptimizerRule::kAdagrad, kVector>(step, touched);
    case OptimizerRule::kAdam:
      return UpdateBy<OptimizerRule::kAdam, kVector>(step, touched);
  }
}

void Update(const RowStep& step, const TouchedRowList& touched) {
  if (touched.rows == 0 || step.dim == 0) return;
  // Row-wise Adagrad reads a row's one state as a float; SGD has none.
  const bool has_wide_state =
      step.step.rule != OptimizerRule::kSgd && step.step.rule != OptimizerRule::kRowwiseAdagrad;
  const bool are_vectors = touched.aligned && AreVectors(step.weights, step.dim, step.stride) &&
                           (!has_wide_state || AreVectors(step.state, step.dim, step.state_stride));
  return are_vectors ? UpdateVectors<4>(step, touched) : UpdateVectors<1>(step, touched);
}

}  // namespace

void AddTableRows(DeviceKernels* table) {
  table->gather_rows = Gather;
  table->update_rows = Update;
}

}  // namespace torii::kernels::cuda
