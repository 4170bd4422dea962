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
  explicit InnerProduct(double temperature) : temperature_(temperature) {
    TORII_CHECK(temperature > 0, "temperature ", temperature);
  }
  bool is_inner_product() const final { return true; }
  double temperature() const final { return temperature_; }
  double divisor() const final { return temperature_; }
  at::Tensor ScaleQueries(const at::Tensor& q) const final { return q; }
  at::Tensor QueryGradient(const at::Tensor&, const at::Tensor& gradient) const final {
    return gradient;
  }
  at::Tensor Scores(const at::Tensor& q, const at::Tensor& v) const final {
    return at::mm(q, v.t()) / temperature_;
  }
  at::Tensor PairScores(const at::Tensor& q, const at::Tensor& v) const final {
    return (q * v).sum(1) / temperature_;
  }

 private:
  const double temperature_;
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
  double temperature() const final { return std::exp(-kernels::NumberOf(parameters_.Get(theta_))); }
  double divisor() const final { return 1; }
  at::Tensor ScaleQueries(const at::Tensor& q) const final {
    return q * parameters_.Get(theta_).detach().exp();
  }
  // A loss sees theta through the products s_ij = q'_i . v_j of q' = exp(theta) q alone. So
  //   dq'_i = sum_j dL/ds_ij v_j, and sum_i q'_i . dq'_i = sum_ij dL/ds_ij s_ij,
  // which is dL/dtheta.
  at::Tensor QueryGradient(const at::Tensor& scaled, const at::Tensor& gradient) const final {
    const at::NoGradGuard no_grad;
    // In double: the terms of a row cancel.
    const at::Tensor sum = (scaled.to(at::kDouble) * gradient).sum();
    parameters_.GradientOf(theta_).add_(sum.to(at::kFloat));
    return gradient * parameters_.Get(theta_).exp();
  }
  at::Tensor Scores(const at::Tensor& q, const at::Tensor& v) const final {
    return at::mm(q, v.t()) * parameters_.Get(theta_).exp();
  }
  at::Tensor PairScores(const at::Tensor& q, const at::Tensor& v) const final {
    return (q * v).sum(1) * parameters_.Get(theta_).exp();
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
