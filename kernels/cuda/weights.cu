// Dense weights: their optimizers, and the length of their gradient.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/sums.h"
#include "kernels/optimizer_rules.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <OptimizerRule kRule>
__device__ inline float Updated(const WeightsArgs& args, float w, float g, int64_t i) {
  const OptimizerStep& step = args.step;
  if constexpr (kRule == OptimizerRule::kSgd) return Sgd(step, w, g);
  if constexpr (kRule == OptimizerRule::kMomentum) return Momentum(step, w, g, args.first[i]);
  if constexpr (kRule == OptimizerRule::kAdagrad) return Adagrad(step, w, g, args.second[i]);
  if constexpr (kRule == OptimizerRule::kAdam) {
    return Adam(step, w, g, args.first[i], args.second[i]);
  }
}

template <OptimizerRule kRule>
__global__ void UpdateKernel(const WeightsArgs args) {
  if (args.gate != nullptr && !*args.gate) return;
  for (int64_t i = GlobalThread(); i < args.size; i += GridThreads()) {
    const float w = args.weight[i];
    const float g = args.gradient[i] + args.step.l2 * args.decays[i] * w;
    args.weight[i] = Updated<kRule>(args, w - args.step.shrink * args.decays[i] * w, g, i);
  }
}

template <OptimizerRule kRule>
void UpdateBy(const WeightsArgs& args) {
  Launch(UpdateKernel<kRule>, {.blocks = BlocksFor(args.size, kThreads), .threads = kThreads},
         args);
}

void Update(const WeightsArgs& args) {
  switch (args.step.rule) {
    case OptimizerRule::kSgd:
      return UpdateBy<OptimizerRule::kSgd>(args);
    case OptimizerRule::kMomentum:
      return UpdateBy<OptimizerRule::kMomentum>(args);
    case OptimizerRule::kAdagrad:
      return UpdateBy<OptimizerRule::kAdagrad>(args);
    case OptimizerRule::kAdam:
      return UpdateBy<OptimizerRule::kAdam>(args);
    case OptimizerRule::kRowwiseAdagrad:  // of rows only
      return;
  }
}

struct Squares {
  const float* x;
  __device__ double operator()(int64_t i) const {
    return static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
};

struct RootTo {
  double* out;
  __device__ void operator()(double sum) const { *out = sqrt(sum); }
};

__global__ void ClipKernel(const ClipArgs args) {
  const double norm = *args.norm;
  if (!(norm > args.most)) return;
  const auto scale = static_cast<float>(args.most / norm);
  for (int64_t i = GlobalThread(); i < args.size; i += GridThreads()) args.gradient[i] *= scale;
}

void Clip(const ClipArgs& args) {
  SumOf(Squares{args.gradient}, args.size, RootTo{args.norm});
  if (!(args.most > 0)) return;
  Launch(ClipKernel, {.blocks = BlocksFor(args.size, kThreads), .threads = kThreads}, args);
}

__global__ void CloseGateKernel(const GateArgs args) {
  const auto is_finite = [](double x) { return fabs(x) < HUGE_VAL; };
  if (Thread() == 0 && !(is_finite(*args.loss) && is_finite(*args.gradient_norm))) {
    *args.is_open = false;
  }
}

void CloseGate(const GateArgs& args) { Launch(CloseGateKernel, {.threads = kWarpLanes}, args); }

}  // namespace

void AddDenseWeights(DeviceKernels* table) {
  table->update_weights = Update;
  table->clip_gradient = Clip;
  table->close_gate = CloseGate;
}

}  // namespace torii::kernels::cuda
