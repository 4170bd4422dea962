// How a tower joins the vectors of its inputs. A kind is a message in join.proto, a class and a
// line in join.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "model/join/join.pb.h"

namespace torii::model {

class Join {
 public:
  virtual ~Join() = default;
  // The vectors of the inputs [n, E_f], at least one -> [n, F].
  virtual at::Tensor Forward(const std::vector<at::Tensor>& fields) const = 0;
};

std::unique_ptr<Join> MakeJoin(const JoinConfig& config);

// Whether every input must be D wide, so that floats need a linear layer before they are joined.
bool WantsWidthOfModel(const JoinConfig& config);
// F.
int64_t JoinedWidth(const JoinConfig& config, const std::vector<int64_t>& widths);

}  // namespace torii::model
