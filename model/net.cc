#include "model/net.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "model/scorer/inner_product.h"

namespace torii::model {
namespace {

bool IsHistory(const TowerSource& source) { return source.kind == TowerSource::kHistory; }

}  // namespace

Net::Net(const ModelConfig& config, ModelPlan plan, const kernels::Device& device)
    : config_(config), plan_(std::move(plan)), dense_(device) {
  const auto tower = [&](const TowerPlan& of_tower, const TowerConfig& tower_config) {
    return std::make_unique<Tower>(of_tower, tower_config, config.dim(), config.normalize(),
                                   dense_);
  };
  user_ = tower(plan_.user, config.user());
  item_ = tower(plan_.item, config.item());
  scorer_ = MakeInnerProduct(config.temperature());
}

absl::StatusOr<std::unique_ptr<Net>> Net::Create(const ModelConfig& config, const SideShape& users,
                                                 const SideShape& items, uint64_t seed,
                                                 const kernels::Device& device) {
  TORII_ASSIGN_OR_RETURN(ModelPlan plan, MakePlan(config, users, items));
  std::unique_ptr<Net> net(new Net(config, std::move(plan), device));
  net->dense_.Allocate(seed);
  return net;
}

int64_t Net::history_length() const {
  const auto& sources = plan_.user.sources;
  const bool reads_history = std::any_of(sources.begin(), sources.end(), IsHistory);
  return reads_history ? config_.user().history().length() : 0;
}

bool Net::users_have_one_vector() const {
  return config_.user().dropout() == 0 && history_length() == 0;
}

}  // namespace torii::model
