#include "model/dense_parameters.h"

#include <ATen/ATen.h>

#include <cmath>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace torii::model {
namespace {

int64_t Product(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

// Inputs of each output of a linear layer: all dimensions but the first.
int64_t FanIn(const ParameterInfo& info) { return info.shape[0] ? info.size / info.shape[0] : 1; }

// Fills the weight's part of the flat buffer, a float per element.
void Fill(const ParameterInfo& info, uint64_t seed, std::span<float> out) {
  if (info.init == Init::kZero) return;
  if (info.init == Init::kOne) {
    for (float& x : out) x = 1.0F;
    return;
  }
  const double gain = info.init == Init::kHe ? 2.0 : 1.0;
  const auto stddev = static_cast<float>(std::sqrt(gain / static_cast<double>(FanIn(info))));
  RandomStream(seed, "init:" + info.name).NormalRow(0, out);
  for (float& x : out) x *= stddev;
}

}  // namespace

int DenseParameters::Add(std::string name, std::vector<int64_t> shape, Init init, bool decay) {
  TORII_CHECK(leaves_.empty(), "Add(", name, ") after Allocate");
  TORII_CHECK(!shape.empty(), name, " has no dimensions");
  for (const ParameterInfo& other : info_) {
    TORII_CHECK(other.name != name, "two dense weights are called ", name);
  }
  ParameterInfo info{std::move(name), std::move(shape), init, decay, size_, 0};
  info.size = Product(info.shape);
  size_ += info.size;
  info_.push_back(std::move(info));
  return static_cast<int>(info_.size()) - 1;
}

void DenseParameters::Allocate(uint64_t seed) {
  TORII_CHECK(!flat_.defined(), "Allocate called twice");
  flat_ = at::zeros({size_}, at::kFloat);
  bucket_ = at::zeros({size_ + 1}, at::kFloat);
  grad_ = bucket_.narrow(0, 0, size_);
  decay_mask_ = at::zeros({size_}, at::kFloat);
  for (const ParameterInfo& info : info_) {
    Fill(info, seed,
         {flat_.mutable_data_ptr<float>() + info.begin, static_cast<size_t>(info.size)});
    if (info.decay) decay_mask_.narrow(0, info.begin, info.size).fill_(1.0);
    at::Tensor leaf = flat_.narrow(0, info.begin, info.size).view(info.shape).detach();
    leaf.requires_grad_(true);
    // With a gradient in place, autograd adds to it instead of making a tensor of its own.
    leaf.mutable_grad() = grad_.narrow(0, info.begin, info.size).view(info.shape);
    leaves_.push_back(std::move(leaf));
  }
}

void DenseParameters::ZeroGrad() { grad_.zero_(); }

}  // namespace torii::model
