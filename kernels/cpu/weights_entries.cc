// Dense weights in the table of the CPU.
#include <algorithm>
#include <cmath>
#include <span>

#include "base/parallel_for.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

// Weights below which a second thread does not pay.
constexpr int64_t kGrain = int64_t{1} << 13;

void Update(const WeightsArgs& args) {
  if (args.gate != nullptr && !*args.gate) return;
  const WeightsVariant& variant = *RunnableWeightsVariants().front();
  ParallelFor(0, args.size, kGrain,
              [&](int64_t begin, int64_t end) { variant.update(args, begin, end); });
}

// In double over short sums in float, in a fixed order.
double Norm(std::span<const float> values) {
  constexpr size_t kShort = 256;
  double squares = 0;
  for (size_t begin = 0; begin < values.size(); begin += kShort) {
    const std::span<const float> part =
        values.subspan(begin, std::min(kShort, values.size() - begin));
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < part.size(); ++i) sum += part[i] * part[i];
    squares += static_cast<double>(sum);
  }
  return std::sqrt(squares);
}

void Clip(const ClipArgs& args) {
  const double norm = Norm({args.gradient, static_cast<size_t>(args.size)});
  *args.norm = norm;
  if (!(args.most > 0 && norm > args.most)) return;
  const auto scale = static_cast<float>(args.most / norm);
  for (int64_t i = 0; i < args.size; ++i) args.gradient[i] *= scale;
}

void CloseGate(const GateArgs& args) {
  *args.is_open &= std::isfinite(*args.loss) && std::isfinite(*args.gradient_norm);
}

}  // namespace

void AddDenseWeights(DeviceKernels* table) {
  table->update_weights = Update;
  table->clip_gradient = Clip;
  table->close_gate = CloseGate;
}

}  // namespace torii::kernels::cpu
