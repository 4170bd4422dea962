// All dense weights of a model in one flat float32 buffer, and their gradients in another, so that
// one all-reduce and one optimizer pass serve all. Each weight is a named view of the buffer.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::model {

enum class Init {
  kZero,
  kOne,
  kHe,        // normal(0, sqrt(2 / fan_in)), for layers followed by an activation
  kLinear,    // normal(0, sqrt(1 / fan_in)), for layers without one
  kConstant,  // ParameterInfo::constant
};

struct ParameterInfo {
  std::string name;            // "user.trunk.0.weight"
  std::vector<int64_t> shape;  // weights of linear layers are [out, in]
  Init init = Init::kZero;
  bool decay = false;         // weight decay applies (not on biases and norms)
  std::string init_key = "";  // names the stream of the initial values; empty: `name`
  double constant = 0;
  // ClampToBounds lowers the weight to this.
  double at_most = std::numeric_limits<double>::infinity();
  int64_t begin = 0, size = 0;  // in the flat buffer; set by Add
};

// The gradient of all dense weights. It is zeroed when it is next needed: gradients that come for
// all weights at once need no zeros before them.
struct DenseGradient {
  at::Tensor all;                     // [P]
  std::vector<at::Tensor> of_weight;  // views of it, each in the shape of its weight
  bool is_to_be_zeroed = false;

  void Settle();
  // flat: the gradient [-1] of each weight, in their order.
  void Add(const std::vector<at::Tensor>& flat);
};

class DenseParameters {
 public:
  explicit DenseParameters(const kernels::Device& device = kernels::Device::Cpu())
      : device_(device) {}
  // Before Allocate. Returns the index for Get. Names are unique, and so are init keys.
  int Add(ParameterInfo info);
  // Makes the buffers and fills them: each weight is a pure function of (seed, init key, index),
  // the same on every rank.
  void Allocate(uint64_t seed);
  // The weight [shape] for use in an autograd graph, as often as wanted: backward adds the sum of
  // its gradients to grad(). Valid after Allocate.
  const at::Tensor& Get(int index) const { return weights_[static_cast<size_t>(index)]; }
  // The weight's gradient, a view of grad() [shape].
  const at::Tensor& GradientOf(int index) const {
    gradient_->Settle();
    return gradient_->of_weight[static_cast<size_t>(index)];
  }
  at::Tensor& flat() { return flat_; }  // [P]
  // [P], accumulated by backward; zeroed by ZeroGrad.
  at::Tensor& grad() {
    gradient_->Settle();
    return gradient_->all;
  }
  // [P + 1]: grad() and the place of one more number, so that one all-reduce sums both.
  at::Tensor& bucket() {
    gradient_->Settle();
    return bucket_;
  }
  const at::Tensor& decay_mask() const { return decay_mask_; }  // [P] float, 1 where decay applies
  void ZeroGrad() { gradient_->is_to_be_zeroed = true; }
  // Lowers each weight to its bound. After an update.
  void ClampToBounds();
  const std::vector<ParameterInfo>& info() const { return info_; }
  int64_t size() const { return size_; }
  // Where the weights live.
  const kernels::Device& device() const { return device_; }

 private:
  kernels::Device device_;
  std::vector<ParameterInfo> info_;
  std::vector<at::Tensor> weights_;
  std::shared_ptr<DenseGradient> gradient_ = std::make_shared<DenseGradient>();
  at::Tensor flat_, bucket_, decay_mask_;
  int64_t size_ = 0;
};

}  // namespace torii::model
