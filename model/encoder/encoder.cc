#include "model/encoder/encoder.h"

#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "model/layers.h"
#include "model/pool_rows.h"
#include "model/sequence/sequence_encoder.h"

namespace torii::model {
namespace {

// One row: an id, or a feature with a single value.
class PickedRow final : public Encoder {
 public:
  explicit PickedRow(const kernels::Device& device) : device_(device) {}
  at::Tensor Forward(const EncoderInput& input, const RowDropout&) const final {
    return PickRows(input.rows, input.index, device_);
  }
  bool picks_rows() const final { return true; }

 private:
  const kernels::Device device_;
};

// Several rows in no order.
class Bag final : public Encoder {
 public:
  Bag(BagPooling pooling, const kernels::Device& device) : pooling_(pooling), device_(device) {}
  at::Tensor Forward(const EncoderInput& input, const RowDropout&) const final {
    return PoolRows(input.rows, input.index, input.offsets, pooling_, device_);
  }

 private:
  const BagPooling pooling_;
  const kernels::Device device_;
};

// Several rows in order.
class History final : public Encoder {
 public:
  explicit History(std::unique_ptr<SequenceEncoder> sequence) : sequence_(std::move(sequence)) {}
  at::Tensor Forward(const EncoderInput& input, const RowDropout& dropout) const final {
    return sequence_->Forward({input.rows, input.index, input.offsets, input.begins}, dropout);
  }
  bool has_dropout() const final { return sequence_->has_dropout(); }

 private:
  const std::unique_ptr<SequenceEncoder> sequence_;
};

// Floats, as they are or through a linear layer.
class Floats final : public Encoder {
 public:
  explicit Floats(std::optional<Linear> linear) : linear_(std::move(linear)) {}
  at::Tensor Forward(const EncoderInput& input, const RowDropout&) const final {
    return linear_.has_value() ? linear_->Forward(input.floats) : input.floats;
  }

 private:
  const std::optional<Linear> linear_;
};

}  // namespace

std::unique_ptr<Encoder> MakeEncoder(const std::string& side, const TowerSource& source,
                                     const TowerConfig& config, DenseParameters& parameters) {
  switch (source.kind) {
    case TowerSource::kId:
    case TowerSource::kSingle:
      return std::make_unique<PickedRow>(parameters.device());
    case TowerSource::kBag:
      return std::make_unique<Bag>(
          config.pooling() == TowerConfig::SUM_ROWS ? BagPooling::kSum : BagPooling::kMean,
          parameters.device());
    case TowerSource::kHistory:
      return std::make_unique<History>(MakeSequenceEncoder(
          config.history(), absl::StrCat(side, ".", source.name), source.width, parameters));
    case TowerSource::kDense:
    case TowerSource::kVector: {
      std::optional<Linear> linear;
      if (source.has_linear) {
        linear.emplace(LayerName{absl::StrCat(side, ".encoder.", source.name),
                                 absl::StrCat(side, ".input.", source.name)},
                       source.width, source.output, Init::kLinear, parameters);
      }
      return std::make_unique<Floats>(std::move(linear));
    }
  }
  TORII_CHECK(false, source.name, " is of no kind");
}

}  // namespace torii::model
