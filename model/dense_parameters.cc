#include "model/dense_parameters.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "kernels/random_rows.h"

namespace torii::model {
namespace {

int64_t Product(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

// Inputs of each output of a linear layer: all dimensions but the first.
int64_t FanIn(const ParameterInfo& info) { return info.shape[0] ? info.size / info.shape[0] : 1; }

// Gives a new weight [size] its first values.
void Fill(const kernels::Device& device, const ParameterInfo& info, uint64_t seed,
          at::Tensor weight) {
  if (info.init == Init::kZero) return;
  if (info.init == Init::kOne || info.init == Init::kConstant) {
    weight.fill_(info.init == Init::kOne ? 1.0 : info.constant);
    return;
  }
  const double gain = info.init == Init::kHe ? 2.0 : 1.0;
  const auto stddev = static_cast<float>(std::sqrt(gain / static_cast<double>(FanIn(info))));
  kernels::FillNormalRows(device, RandomStream(seed, "init:" + info.init_key),
                          /*first_row=*/0, /*row_step=*/1, stddev, weight.view({1, -1}));
}

// Where the weights enter a graph: one node for all of them, which runs once a backward has every
// gradient and adds these to the buffer. A node for each weight, as leaves have, would cost a few
// microseconds each.
class AddGradients : public torch::autograd::Node {
 public:
  explicit AddGradients(std::shared_ptr<DenseGradient> to) : to_(std::move(to)) {}
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    std::vector<at::Tensor> flat;
    for (const at::Tensor& gradient : gradients) {
      if (gradient.defined()) flat.push_back(gradient.reshape({-1}));
    }
    if (flat.size() == gradients.size()) {  // one operation instead of one for each weight
      to_->Add(flat);
      return {};
    }
    to_->Settle();
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].defined()) to_->of_weight[i].add_(gradients[i]);
    }
    return {};
  }

 private:
  const std::shared_ptr<DenseGradient> to_;
};

}  // namespace

void DenseGradient::Settle() {
  if (std::exchange(is_to_be_zeroed, false)) all.zero_();
}

void DenseGradient::Add(const std::vector<at::Tensor>& flat) {
  if (std::exchange(is_to_be_zeroed, false)) {
    at::cat_out(all, flat);
  } else {
    all.add_(at::cat(flat));
  }
}

int DenseParameters::Add(ParameterInfo info) {
  TORII_CHECK(weights_.empty(), "Add(", info.name, ") after Allocate");
  TORII_CHECK(!info.shape.empty(), info.name, " has no dimensions");
  if (info.init_key.empty()) info.init_key = info.name;
  for (const ParameterInfo& other : info_) {
    TORII_CHECK(other.name != info.name, "two dense weights are called ", info.name);
    TORII_CHECK(other.init_key != info.init_key, info.name, " and ", other.name,
                " have the init key ", info.init_key);
  }
  info.begin = size_;
  info.size = Product(info.shape);
  size_ += info.size;
  info_.push_back(std::move(info));
  return static_cast<int>(info_.size()) - 1;
}

void DenseParameters::Allocate(uint64_t seed) {
  TORII_CHECK(!flat_.defined(), "Allocate called twice");
  const at::TensorOptions floats = at::TensorOptions(device_.torch()).dtype(at::kFloat);
  flat_ = at::zeros({size_}, floats);
  bucket_ = at::zeros({size_ + 1}, floats);
  gradient_->all = bucket_.narrow(0, 0, size_);
  decay_mask_ = at::zeros({size_}, floats);
  for (const ParameterInfo& info : info_) {
    Fill(device_, info, seed, flat_.narrow(0, info.begin, info.size));
    if (info.decay) decay_mask_.narrow(0, info.begin, info.size).fill_(1.0);
    weights_.push_back(flat_.narrow(0, info.begin, info.size).view(info.shape).detach());
    gradient_->of_weight.push_back(
        gradient_->all.narrow(0, info.begin, info.size).view(info.shape));
  }
  const auto source = std::make_shared<AddGradients>(gradient_);
  for (at::Tensor& weight : weights_) {
    torch::autograd::impl::set_gradient_edge(weight, {source, source->add_input_metadata(weight)});
  }
}

void DenseParameters::ClampToBounds() {
  for (const ParameterInfo& info : info_) {
    if (std::isinf(info.at_most)) continue;
    flat_.narrow(0, info.begin, info.size).clamp_max_(info.at_most);
  }
}

}  // namespace torii::model
