#include "trainer/dense_gradient.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/status_macros.h"

namespace torii::trainer {
namespace {

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

}  // namespace

absl::StatusOr<double> SumOverRanks(comm::Communicator& comm, const at::Tensor& loss,
                                    model::DenseParameters& dense) {
  if (comm.world_size() == 1) return *loss.const_data_ptr<double>();
  float* const place = dense.bucket().data_ptr<float>() + dense.size();
  *place = static_cast<float>(*loss.const_data_ptr<double>());
  TORII_RETURN_IF_ERROR(comm.AllReduce(dense.bucket(), comm::ReduceOp::kSum));
  return static_cast<double>(*place);
}

double ClipGradient(at::Tensor& gradient, double clip_norm) {
  const double norm =
      Norm({gradient.const_data_ptr<float>(), static_cast<size_t>(gradient.numel())});
  if (clip_norm > 0 && norm > clip_norm) gradient.mul_(clip_norm / norm);
  return norm;
}

}  // namespace torii::trainer
