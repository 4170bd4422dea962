#include "model/head/head.h"

#include <utility>

namespace torii::model {

Head::Head(std::optional<Linear> linear, bool normalize)
    : linear_(std::move(linear)), normalize_(normalize) {}

at::Tensor Head::Forward(LayeredRows rows) const {
  if (!linear_.has_value()) return LinearLayers(rows.Apply(), {}, normalize_, rows.device);
  rows.layers.push_back(linear_->weights());
  return LinearLayers(rows.x, rows.layers, normalize_, rows.device);
}

Head MakeHead(const HeadPlace& place, DenseParameters& parameters) {
  if (!place.has_linear) return Head(std::nullopt, place.normalize);
  return Head(Linear({place.name, place.init_key}, place.in, place.dim, Init::kLinear, parameters),
              place.normalize);
}

}  // namespace torii::model
