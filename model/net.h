// The network of a model: both towers, the scorer and their dense weights. Knows nothing of ranks,
// tables or ids.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "model/dense_parameters.h"
#include "model/model.pb.h"
#include "model/model_plan.h"
#include "model/scorer/scorer.h"
#include "model/tower.h"

namespace torii::model {

class Net {
 public:
  // `seed` chooses the first weights, which live on `device`. Errors: those of MakePlan.
  static absl::StatusOr<std::unique_ptr<Net>> Create(const ModelConfig& config,
                                                     const SideShape& users, const SideShape& items,
                                                     uint64_t seed, const kernels::Device& device);

  const ModelConfig& config() const { return config_; }
  const ModelPlan& plan() const { return plan_; }
  const Tower& user() const { return *user_; }
  const Tower& item() const { return *item_; }
  const std::shared_ptr<const Scorer>& scorer() const { return scorer_; }
  DenseParameters& dense() { return dense_; }
  const DenseParameters& dense() const { return dense_; }
  // L: how many of a user's last items the user tower reads; 0: none.
  int64_t history_length() const;
  // Whether a user's vector in a training step depends on the user alone: it has no history and no
  // dropout, so that rows of the user may share it.
  bool users_have_one_vector() const;

 private:
  Net(const ModelConfig& config, ModelPlan plan, const kernels::Device& device);

  const ModelConfig config_;
  const ModelPlan plan_;
  DenseParameters dense_;
  std::unique_ptr<Tower> user_, item_;
  std::shared_ptr<const Scorer> scorer_;
};

}  // namespace torii::model
