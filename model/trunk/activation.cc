#include "model/trunk/activation.h"

#include <ATen/ATen.h>

#include "base/check.h"

namespace torii::model {

at::Tensor Activate(const at::Tensor& x, Activation activation) {
  constexpr double kLeakySlope = 0.01;
  switch (activation) {
    case RELU:
      return at::relu(x);
    case GELU:
      return at::gelu(x);
    case TANH:
      return at::tanh(x);
    case LEAKY_RELU:
      return at::leaky_relu(x, kLeakySlope);
    case SILU:
      return at::silu(x);
  }
  TORII_CHECK(false, "activation ", static_cast<int>(activation));
}

}  // namespace torii::model
