#include "trainer/step/two_tower.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/trace.h"
#include "trainer/step/memory_plan.h"

namespace torii::trainer {

model::SideShape ShapeOf(const data::Features& features) {
  model::SideShape shape;
  shape.rows = features.rows();
  for (const data::PreparedFeature& feature : features.info()) {
    model::FeatureShape out;
    out.name = feature.name();
    switch (feature.kind()) {
      case data::PreparedFeature::BAG:
        out.kind = model::FeatureShape::kBag;
        break;
      case data::PreparedFeature::SINGLE:
        out.kind = model::FeatureShape::kSingle;
        break;
      case data::PreparedFeature::DENSE:
        out.kind = model::FeatureShape::kDense;
        break;
    }
    out.rows = feature.rows();
    out.width = feature.width();
    out.vector = feature.vector();
    shape.features.push_back(std::move(out));
  }
  return shape;
}

namespace {

// Before the tables are made: a device that runs out of memory later says little.
absl::Status ReportMemory(const MemoryPlan& plan, int rank, const kernels::Device& device) {
  TORII_RETURN_IF_ERROR(CheckFits(plan, device));
  if (rank != 0 || !device.free_bytes()) return absl::OkStatus();
  TORII_INFO("memory of a rank: ", Describe(plan), "; free ", *device.free_bytes() >> 20, " MiB");
  if (plan.tables + plan.dense + plan.step > *device.free_bytes()) {
    TORII_WARNING("a step may not fit into the memory of the device: use a smaller ",
                  "train.global_batch or more ranks");
  }
  return absl::OkStatus();
}

}  // namespace

TwoTower::TwoTower(comm::Communicator& comm, const data::Dataset& dataset,
                   const TwoTowerConfig& config)
    : comm_(comm),
      dataset_(dataset),
      seed_(config.seed),
      corpus_(Partition::RowModWorld(dataset.items().rows(), comm.world_size())),
      gate_(config.device) {}

absl::StatusOr<std::unique_ptr<TwoTower>> TwoTower::Create(comm::Communicator& comm,
                                                           const data::Dataset& dataset,
                                                           const TwoTowerConfig& config) {
  std::unique_ptr<TwoTower> towers(new TwoTower(comm, dataset, config));
  TORII_ASSIGN_OR_RETURN(towers->net_,
                         model::Net::Create(config.model, ShapeOf(dataset.users()),
                                            ShapeOf(dataset.items()), config.seed, config.device));
  const model::ModelPlan& plan = towers->net_->plan();
  const int64_t world = comm.world_size();
  TORII_ASSIGN_OR_RETURN(
      std::vector<sharding::TableNeed> needs,
      TableNeedsOf(plan, config.tables, config.table, (config.global_batch + world - 1) / world));
  const MemoryPlan memory = PlanMemory(needs, comm.world_size(), towers->net_->dense().size(),
                                       {.rows = (config.global_batch + world - 1) / world,
                                        .columns = config.global_batch,
                                        .history = towers->net_->history_length(),
                                        .dim = config.model.dim()});
  TORII_RETURN_IF_ERROR(ReportMemory(memory, comm.rank(), config.device));
  TORII_ASSIGN_OR_RETURN(towers->tables_,
                         ModelTables::Create(comm.rank(), comm.world_size(), std::move(needs),
                                             config.seed, config.device));
  const std::span<const TablePlace> places = towers->tables_->places();
  if (plan.item_id_table >= 0) {
    const Partition& of_ids = places[static_cast<size_t>(plan.item_id_table)].partition();
    if (!of_ids.is_replicated()) towers->corpus_ = of_ids;
  }
  // One rank owns the ids of its users too. On a device it is cheaper to gather a row twice than to
  // find out that it is asked for twice.
  const Partition of_users = Partition::RowModWorld(dataset.users().rows(), comm.world_size());
  const bool owns_users = comm.world_size() == 1 && !config.device.is_host();
  towers->user_ = {&towers->net_->user(),
                   LayOutPass(plan.user, places, owns_users ? &of_users : nullptr), "user lookup",
                   "user tower"};
  towers->item_ = {&towers->net_->item(), LayOutPass(plan.item, places, &towers->corpus_),
                   "item lookup", "item tower"};
  return towers;
}

absl::Status TwoTower::PlanUsers(comm::Communicator& comm, const PassRows& users, PassPlan* plan) {
  FillPass(user_.layout, dataset_.users(), users, device(), plan);
  return tables_->PlanLookups(comm, plan);
}

absl::Status TwoTower::PlanOwnedItems(comm::Communicator& comm, std::span<const int64_t> items,
                                      PassPlan* plan) {
  FillPass(item_.layout, dataset_.items(),
           {.rows = items, .history = nullptr, .dropout_key = items}, device(), plan);
  return tables_->PlanLookups(comm, plan);
}

absl::StatusOr<TowerPass> TwoTower::Forward(const PassPlan& plan, PassKind kind, int64_t step) {
  const Side& side = plan.layout == &user_.layout ? user_ : item_;
  const bool training = kind == PassKind::kTraining;
  const at::AutoGradMode grad(training);
  TowerPass pass;
  {
    const TraceSpan span(side.lookup_span);
    TORII_ASSIGN_OR_RETURN(pass.rows, tables_->Fetch(comm_, plan));
  }
  const TraceSpan span(side.tower_span);
  pass.vectors = side.tower->Forward(InputOf(plan, pass.rows.rows), {training, seed_, step});
  return pass;
}

absl::StatusOr<at::Tensor> TwoTower::AllOwnedItems(int64_t batch) {
  const int rank = comm_.rank();
  const int64_t owned = corpus_.OwnedRows(rank);
  const int64_t most = corpus_.MostOwnedRows();  // all ranks make the same number of calls
  at::Tensor out = at::empty({owned, net_->config().dim()},
                             at::TensorOptions(device().torch()).dtype(at::kFloat));
  std::vector<int64_t> items;
  PassPlan plan;
  for (int64_t begin = 0; begin < most; begin += batch) {
    items.clear();
    for (int64_t i = begin; i < std::min(begin + batch, owned); ++i) {
      items.push_back(corpus_.Row(rank, i));
    }
    TORII_RETURN_IF_ERROR(PlanOwnedItems(comm_, items, &plan));
    TORII_ASSIGN_OR_RETURN(const TowerPass pass, Forward(plan, PassKind::kInference, 0));
    if (!items.empty()) {
      out.narrow(0, begin, static_cast<int64_t>(items.size())).copy_(pass.vectors);
    }
  }
  return out;
}

void TwoTower::RegisterState(StateRegistry& registry) {
  for (sharding::TableState& state : tables_->State()) {
    const bool weight = state.name.ends_with(".weight");
    registry.Add({.name = state.name,
                  .tensor = std::move(state.tensor),
                  .partition = state.partition,
                  .role = weight ? StateRole::kWeight : StateRole::kTraining});
  }
  model::DenseParameters& dense = net_->dense();
  for (const model::ParameterInfo& info : dense.info()) {
    registry.Add({.name = info.name,
                  .tensor = dense.flat().narrow(0, info.begin, info.size).view(info.shape),
                  .partition = std::nullopt,
                  .role = StateRole::kWeight});
  }
}

std::vector<std::string> TwoTower::Description() const {
  std::vector<std::string> lines = tables_->Description();
  lines.push_back(absl::StrCat("tables and optimizer state on this rank: ", tables_->bytes() >> 20,
                               " MiB, ", net_->dense().size(), " dense weights"));
  return lines;
}

}  // namespace torii::trainer
