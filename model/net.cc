#include "model/net.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "model/scorer/scorer_factory.h"

namespace torii::model {
namespace {

bool IsHistory(const TowerSource& source) { return source.kind == TowerSource::kHistory; }

}  // namespace

// The order of the towers is that of their weights.
Net::Net(const ModelConfig& config, ModelPlan plan, const kernels::Device& device)
    : config_(config), plan_(std::move(plan)), dense_(device) {
  TowerOutput output{.dim = config.dim(), .normalize = config.normalize()};
  if (config.has_shared_trunk()) {
    output.shared_trunk = MakeTrunk(config.shared_trunk(),
                                    {.name = "shared.trunk",
                                     .init_key = "shared.hidden",
                                     .dropout = "shared.",
                                     .in = plan_.user.trunk_width,
                                     .dim = config.dim()},
                                    dense_);
  }
  user_ = std::make_unique<Tower>(plan_.user, config.user(), output, dense_);
  item_ = std::make_unique<Tower>(plan_.item, config.item(), output, dense_);
  scorer_ = MakeScorer(config.scorer(), config.dim(), dense_);
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

bool Net::users_have_one_vector() const { return !user_->has_dropout() && history_length() == 0; }

}  // namespace torii::model
