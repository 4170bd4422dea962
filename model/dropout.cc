#include "model/dropout.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "kernels/random_rows.h"

namespace torii::model {

RowDropout::RowDropout(std::string side, const DropoutStep& step, at::Tensor key,
                       const kernels::Device& device)
    : side_(std::move(side)), step_(step), key_(std::move(key)), device_(device) {}

at::Tensor RowDropout::Apply(const at::Tensor& x, const std::string& layer, double drop) const {
  if (!is_on() || drop == 0) return x;
  const RandomStream stream(step_.seed, absl::StrCat("dropout:", side_, ".", layer),
                            static_cast<uint64_t>(step_.step));
  return x * kernels::DropoutMask(device_, stream, key_, x.size(1), drop);
}

}  // namespace torii::model
