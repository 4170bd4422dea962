#include "model/tower.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "base/check.h"
#include "model/pool_rows.h"

namespace torii::model {
namespace {

std::vector<std::unique_ptr<Encoder>> MakeEncoders(const TowerPlan& plan, const TowerConfig& config,
                                                   DenseParameters& parameters) {
  std::vector<std::unique_ptr<Encoder>> encoders;
  for (const TowerSource& source : plan.sources) {
    encoders.push_back(MakeEncoder(plan.side, source, config, parameters));
  }
  return encoders;
}

TrunkPlace PlaceOfTrunk(const TowerPlan& plan, int64_t dim) {
  return {.name = plan.side + ".trunk",
          .init_key = plan.side + ".hidden",
          .dropout = "",
          .in = plan.joined_width,
          .dim = dim};
}

HeadPlace PlaceOfHead(const TowerPlan& plan, int64_t in, const TowerOutput& output) {
  return {.name = plan.side + ".head",
          .init_key = plan.side + ".final",
          .in = in,
          .dim = output.dim,
          .has_linear = plan.has_linear_head,
          .normalize = output.normalize};
}

}  // namespace

// The order of the parts is that of their weights.
Tower::Tower(const TowerPlan& plan, const TowerConfig& config, const TowerOutput& output,
             DenseParameters& parameters)
    : plan_(plan),
      device_(parameters.device()),
      encoders_(MakeEncoders(plan, config, parameters)),
      join_(MakeJoin(config.join())),
      trunk_(MakeTrunk(config.trunk(), PlaceOfTrunk(plan, output.dim), parameters)),
      shared_trunk_(output.shared_trunk),
      head_(MakeHead(
          PlaceOfHead(plan, shared_trunk_ ? shared_trunk_->width() : trunk_->width(), output),
          parameters)) {}

bool Tower::has_dropout() const {
  bool has = trunk_->has_dropout() || (shared_trunk_ && shared_trunk_->has_dropout());
  for (const auto& encoder : encoders_) has |= encoder->has_dropout();
  return has;
}

bool Tower::FollowsDistinctRows(const TowerInput& input, const RowDropout& dropout) const {
  if (encoders_.size() != 1 || !encoders_[0]->picks_rows()) return false;
  if (has_dropout() && dropout.is_on()) return false;
  return input.inputs[0].rows.size(0) <= input.n;
}

at::Tensor Tower::Encode(size_t source, const TowerInput& input, const RowDropout& dropout) const {
  at::Tensor vectors = encoders_[source]->Forward(input.inputs[source], dropout);
  TORII_CHECK(vectors.size(0) == input.n, plan_.sources[source].name, " has ", vectors.size(0),
              " rows, the input ", input.n);
  return vectors;
}

at::Tensor Tower::AfterJoin(const at::Tensor& joined, const RowDropout& dropout) const {
  LayeredRows rows = trunk_->Forward({joined, {}, device_}, dropout);
  if (shared_trunk_) rows = shared_trunk_->Forward(std::move(rows), dropout);
  return head_.Forward(std::move(rows));
}

at::Tensor Tower::Forward(const TowerInput& input, const DropoutStep& step) const {
  TORII_CHECK(input.inputs.size() == encoders_.size(), plan_.side, " tower: ", input.inputs.size(),
              " inputs given, ", encoders_.size(), " expected");
  const RowDropout dropout(plan_.side, step, input.dropout_key, device_);
  if (FollowsDistinctRows(input, dropout)) {
    // Each distinct row goes through the layers once.
    const EncoderInput& only = input.inputs[0];
    const int64_t rows = only.index.defined() ? only.index.numel() : only.rows.size(0);
    TORII_CHECK(rows == input.n, plan_.sources[0].name, " has ", rows, " rows, the input ",
                input.n);
    return PickRows(AfterJoin(join_->Forward({only.rows}), dropout), only.index, device_);
  }
  std::vector<at::Tensor> fields;
  for (size_t source = 0; source < encoders_.size(); ++source) {
    fields.push_back(Encode(source, input, dropout));
  }
  return AfterJoin(join_->Forward(fields), dropout);
}

}  // namespace torii::model
