// The whole model on one rank: its shard of every embedding table, the dense weights (replicated),
// the towers, and the way from user and item rows to vectors. This is where data, model and
// sharding meet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "model/dense_parameters.h"
#include "model/model_plan.h"
#include "model/softmax_loss.h"
#include "model/tower.h"
#include "sharding/sharding.pb.h"
#include "sharding/table_group.h"
#include "trainer/pass_plan.h"

namespace torii::trainer {

// What the data offer to the model.
model::SideShape ShapeOf(const data::Features& features);

struct TwoTowerConfig {
  model::ModelConfig model;
  sharding::TableConfig tables;
  uint64_t seed = 1;
};

// A tower's output and the lookups behind it, whose gradients TwoTower::Update sends home.
struct TowerPass {
  at::Tensor vectors;  // [n, D]; with autograd graph if made for training
  std::vector<sharding::Lookup> lookups;
  const PassPlan* plan = nullptr;  // which table group each lookup is of
  data::FeatureRows features;      // what the graph of `vectors` looks at
};

enum class PassKind { kTraining, kInference };

class TwoTower {
 public:
  // Borrows comm and dataset. Not collective.
  static absl::StatusOr<std::unique_ptr<TwoTower>> Create(comm::Communicator& comm,
                                                          const data::Dataset& dataset,
                                                          const TwoTowerConfig& config);

  // Vectors of users with their histories ([n] bags of item rows). dropout_key: [n] global
  // positions, empty for none. Collective; n may be 0.
  absl::StatusOr<TowerPass> Users(std::span<const int64_t> users, const data::Bags& history,
                                  std::span<const int64_t> dropout_key, PassKind kind,
                                  int64_t step);
  // Vectors of items. If `owned`, every item must live on this rank (row mod W) and the id rows
  // need no exchange. Collective (item features may live elsewhere); n may be 0.
  absl::StatusOr<TowerPass> OwnedItems(std::span<const int64_t> items, PassKind kind, int64_t step);
  // Vectors of all items of this rank, row i for item rank + i * W: [owned, D], without graph.
  // Collective.
  absl::StatusOr<at::Tensor> AllOwnedItems(int64_t batch);

  // After backward: sends the row gradients of the passes home and updates the tables. Collective.
  absl::Status UpdateTables(std::span<TowerPass* const> passes, double learning_rate_factor,
                            int64_t step);

  model::DenseParameters& dense() { return dense_; }
  model::SoftmaxLoss& loss() { return loss_; }
  // State of all tables of this rank (names are unique).
  std::vector<sharding::TableState> TableStates();
  const model::ModelPlan& plan() const { return plan_; }
  int64_t history_length() const;
  // Whether a user's vector in a training step depends on the user alone: it has no history and no
  // dropout, so that rows of the user may share it.
  bool users_have_one_vector() const;
  const data::Dataset& dataset() const { return dataset_; }
  comm::Communicator& comm() { return comm_; }
  const TwoTowerConfig& config() const { return config_; }
  // Lines for the start of the log: tables, rows, bytes, dense weights.
  std::vector<std::string> Description() const;

 private:
  struct Side {
    std::unique_ptr<model::Tower> tower;
    PassPlan plan;
    const char *lookup_span = "", *tower_span = "";  // names in a profile
  };
  TwoTower(comm::Communicator& comm, const data::Dataset& dataset, const TwoTowerConfig& config);
  absl::StatusOr<std::vector<TablePlace>> CreateTables();
  absl::StatusOr<TowerPass> Pass(const Side& side, const PassRows& rows, PassKind kind,
                                 int64_t step);
  // Fills in the pass's features and lookups.
  absl::Status LookUp(const Side& side, const PassRows& rows, TowerPass* pass);

  comm::Communicator& comm_;
  const data::Dataset& dataset_;
  TwoTowerConfig config_;
  model::ModelPlan plan_;
  model::DenseParameters dense_;
  model::SoftmaxLoss loss_;
  Side user_, item_;
  std::vector<std::unique_ptr<sharding::TableGroup>> groups_;
  std::vector<std::vector<int64_t>> keys_;  // of the lookups of a pass; kept for their memory
  const data::Bags no_history_;
};

}  // namespace torii::trainer
