// All dense weights of a model in one flat float32 buffer, and their gradients in another: one
// all-reduce, one optimizer pass, one tensor in a checkpoint. Weights are leaf views of the buffer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"

namespace torii::model {

enum class Init {
  kZero,
  kOne,
  kHe,      // normal(0, sqrt(2 / fan_in)), for layers followed by an activation
  kLinear,  // normal(0, sqrt(1 / fan_in)), for the last layer
};

struct ParameterInfo {
  std::string name;            // "user.hidden0.weight"
  std::vector<int64_t> shape;  // weights of linear layers are [out, in]
  Init init = Init::kZero;
  bool decay = false;  // weight decay applies (not on biases and norms)
  int64_t begin = 0;   // offset in the flat buffer
  int64_t size = 0;
};

class DenseParameters {
 public:
  // Before Allocate. Returns the index for Get. Names are unique.
  int Add(std::string name, std::vector<int64_t> shape, Init init, bool decay);
  // Makes the buffers and fills them: each weight is a pure function of (seed, name, index), the
  // same on every rank.
  void Allocate(uint64_t seed);
  // The weight, a leaf [shape] whose .grad() is a view of grad(). Valid after Allocate.
  const at::Tensor& Get(int index) const { return leaves_[static_cast<size_t>(index)]; }
  at::Tensor& flat() { return flat_; }  // [P]
  at::Tensor& grad() { return grad_; }  // [P], accumulated by backward; zeroed by ZeroGrad
  // [P + 1]: grad() and the place of one more number, so that one all-reduce sums both.
  at::Tensor& bucket() { return bucket_; }
  const at::Tensor& decay_mask() const { return decay_mask_; }  // [P] float, 1 where decay applies
  void ZeroGrad();
  const std::vector<ParameterInfo>& info() const { return info_; }
  int64_t size() const { return size_; }

 private:
  std::vector<ParameterInfo> info_;
  std::vector<at::Tensor> leaves_;
  at::Tensor flat_, bucket_, grad_, decay_mask_;
  int64_t size_ = 0;
};

}  // namespace torii::model
