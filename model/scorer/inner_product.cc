#include "model/scorer/inner_product.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "base/check.h"
#include "kernels/host_tensors.h"

namespace torii::model {
namespace {

class InnerProduct final : public Scorer {
 public:
  explicit InnerProduct(double temperature) : inverse_temperature_(1 / temperature) {
    TORII_CHECK(temperature > 0, "temperature ", temperature);
  }
  bool is_inner_product() const final { return true; }
  double inverse_temperature() const final { return inverse_temperature_; }
  at::Tensor Scores(const at::Tensor& q, const at::Tensor& v) const final {
    return at::mm(q, v.t()) * inverse_temperature_;
  }
  at::Tensor PairScores(const at::Tensor& q, const at::Tensor& v) const final {
    return (q * v).sum(1) * inverse_temperature_;
  }
  void AddTemperatureGradient(const at::Tensor&, const at::Tensor&) const final {}

 private:
  const double inverse_temperature_;
};

class LearnedTemperature final : public Scorer {
 public:
  LearnedTemperature(double temperature, DenseParameters& parameters) : parameters_(parameters) {
    TORII_CHECK(1 / temperature <= kMostInverseTemperature, "temperature ", temperature);
    theta_ = parameters.Add({.name = "scorer.log_inverse_temperature",
                             .shape = {1},
                             .init = Init::kConstant,
                             .decay = false,
                             .constant = -std::log(temperature),
                             .at_most = std::log(kMostInverseTemperature)});
  }
  bool is_inner_product() const final { return true; }
  double inverse_temperature() const final {
    return std::exp(kernels::NumberOf(parameters_.Get(theta_)));
  }
  at::Tensor Scores(const at::Tensor& q, const at::Tensor& v) const final {
    return at::mm(q, v.t()) * parameters_.Get(theta_).exp();
  }
  at::Tensor PairScores(const at::Tensor& q, const at::Tensor& v) const final {
    return (q * v).sum(1) * parameters_.Get(theta_).exp();
  }
  // The loss sees theta through the products s = exp(theta) q_i . v_j alone:
  //   dq_i = exp(theta) sum_j dL/ds_ij v_j, so that sum_i q_i . dq_i = sum_ij dL/ds_ij s_ij,
  // which is dL/dtheta.
  void AddTemperatureGradient(const at::Tensor& q, const at::Tensor& q_grad) const final {
    const at::NoGradGuard no_grad;
    // In double: the terms of a row cancel.
    const at::Tensor sum = (q.detach().to(at::kDouble) * q_grad).sum();
    parameters_.GradientOf(theta_).add_(sum.to(at::kFloat));
  }

 private:
  DenseParameters& parameters_;
  int theta_ = -1;
};

}  // namespace

std::unique_ptr<Scorer> MakeInnerProduct(double temperature) {
  return std::make_unique<InnerProduct>(temperature);
}

std::unique_ptr<Scorer> MakeInnerProductOfLearnedTemperature(double temperature,
                                                             DenseParameters& parameters) {
  return std::make_unique<LearnedTemperature>(temperature, parameters);
}

}  // namespace torii::model
