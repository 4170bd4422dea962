// The whole model on one rank: its network, its tables, and the way from user and item rows to
// vectors. This is where data, model and sharding meet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/named_state.h"
#include "base/partition.h"
#include "comm/communicator.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "model/net.h"
#include "sharding/sharding.pb.h"
#include "trainer/step/model_tables.h"
#include "trainer/step/pass_plan.h"

namespace torii::trainer {

// What the data offer to the model.
model::SideShape ShapeOf(const data::Features& features);

struct TwoTowerConfig {
  model::ModelConfig model;
  sharding::TableConfig tables;
  uint64_t seed = 1;
  std::vector<sharding::TableConfig> table = {};  // overrides of single tables
  int64_t global_batch = 4096;                    // G: placement counts lookups by it
  kernels::Device device = kernels::Device::Cpu();
};

// A tower's output and the lookups behind it, whose gradients ModelTables::Update sends home.
struct TowerPass {
  at::Tensor vectors;  // [n, D]; with autograd graph if made for training
  PassLookups rows;
  data::FeatureRows features;  // what the graph of `vectors` looks at
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
  // Vectors of items that this rank owns by corpus(): their id rows need no exchange unless that
  // table is replicated. Collective (item features may live elsewhere); n may be 0.
  absl::StatusOr<TowerPass> OwnedItems(std::span<const int64_t> items, PassKind kind, int64_t step);
  // Vectors of all items of this rank, row i for item corpus().Row(rank, i): [owned, D], without
  // graph. Collective.
  absl::StatusOr<at::Tensor> AllOwnedItems(int64_t batch);

  // Tables with their optimizer state, and dense weights.
  void RegisterState(StateRegistry& registry);
  model::Net& net() { return *net_; }
  ModelTables& tables() { return *tables_; }
  // Which rank computes the vector of an item: the one that holds its id row, where these are
  // sharded, else item row mod W.
  const Partition& corpus() const { return corpus_; }
  const data::Dataset& dataset() const { return dataset_; }
  comm::Communicator& comm() { return comm_; }
  // Lines for the start of the log: tables, rows, bytes, dense weights.
  std::vector<std::string> Description() const;

 private:
  struct Side {
    const model::Tower* tower = nullptr;
    PassPlan plan;
    const char *lookup_span = "", *tower_span = "";  // names in a profile
  };
  TwoTower(comm::Communicator& comm, const data::Dataset& dataset, uint64_t seed);
  absl::StatusOr<TowerPass> Pass(const Side& side, const PassRows& rows, PassKind kind,
                                 int64_t step);

  comm::Communicator& comm_;
  const data::Dataset& dataset_;
  const uint64_t seed_;
  Partition corpus_;
  std::unique_ptr<model::Net> net_;
  std::unique_ptr<ModelTables> tables_;
  Side user_, item_;
  std::vector<std::vector<int64_t>> keys_;  // of the lookups of a pass; kept for their memory
  const data::Bags no_history_;
};

}  // namespace torii::trainer
