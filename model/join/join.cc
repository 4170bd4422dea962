#include "model/join/join.h"

#include <ATen/ATen.h>

#include <numeric>

namespace torii::model {
namespace {

class Concat final : public Join {
 public:
  at::Tensor Forward(const std::vector<at::Tensor>& fields) const final {
    return fields.size() == 1 ? fields[0] : at::cat(fields, 1);
  }
};

class Sum final : public Join {
 public:
  at::Tensor Forward(const std::vector<at::Tensor>& fields) const final {
    at::Tensor sum = fields[0];
    for (size_t f = 1; f < fields.size(); ++f) sum = sum + fields[f];
    return sum;
  }
};

}  // namespace

std::unique_ptr<Join> MakeJoin(const JoinConfig& config) {
  if (config.has_sum()) return std::make_unique<Sum>();
  return std::make_unique<Concat>();
}

bool WantsWidthOfModel(const JoinConfig& config) { return config.has_sum(); }

int64_t JoinedWidth(const JoinConfig& config, const std::vector<int64_t>& widths) {
  if (config.has_sum()) return widths.at(0);
  return std::accumulate(widths.begin(), widths.end(), int64_t{0});
}

}  // namespace torii::model
