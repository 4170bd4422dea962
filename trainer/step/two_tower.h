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
#include "kernels/update_gate.h"
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

// A tower's output and the rows behind it. Its plan outlives it.
struct TowerPass {
  at::Tensor vectors;  // [n, D]; with autograd graph if made for training
  FetchedPass rows;
};

enum class PassKind { kTraining, kInference };

class TwoTower {
 public:
  // Borrows comm and dataset. Not collective.
  static absl::StatusOr<std::unique_ptr<TwoTower>> Create(comm::Communicator& comm,
                                                          const data::Dataset& dataset,
                                                          const TwoTowerConfig& config);

  // Plans a pass for users with their histories (lists of item rows); their dropout keys are global
  // positions. Needs no weights, and may use another communicator than comm(). Collective; n may be
  // 0.
  absl::Status PlanUsers(comm::Communicator& comm, const PassRows& users, PassPlan* plan);
  // Plans a pass for items that this rank owns by corpus(): their id rows need no exchange unless
  // that table is replicated. Collective (item features may live elsewhere); n may be 0.
  absl::Status PlanOwnedItems(comm::Communicator& comm, std::span<const int64_t> items,
                              PassPlan* plan);
  // Fetches the rows of a plan and runs its tower on them. Collective.
  absl::StatusOr<TowerPass> Forward(const PassPlan& plan, PassKind kind, int64_t step);
  // Vectors of all items of this rank, row i for item corpus().Row(rank, i): [owned, D], without
  // graph. Collective.
  absl::StatusOr<at::Tensor> AllOwnedItems(int64_t batch);

  // Tables with their optimizer state, and dense weights.
  void RegisterState(StateRegistry& registry);
  model::Net& net() { return *net_; }
  ModelTables& tables() { return *tables_; }
  // Closed once a step was not finite: nothing of this rank's model is updated from then on.
  kernels::UpdateGate& gate() { return gate_; }
  // Which rank computes the vector of an item: the one that holds its id row, where these are
  // sharded, else item row mod W.
  const Partition& corpus() const { return corpus_; }
  const data::Dataset& dataset() const { return dataset_; }
  comm::Communicator& comm() { return comm_; }
  // Where the weights are, and what is computed from them.
  const kernels::Device& device() const { return net_->dense().device(); }
  // Lines for the start of the log: tables, rows, bytes, dense weights.
  std::vector<std::string> Description() const;

 private:
  struct Side {
    const model::Tower* tower = nullptr;
    PassLayout layout;
    const char *lookup_span = "", *tower_span = "";  // names in a profile
  };
  TwoTower(comm::Communicator& comm, const data::Dataset& dataset, const TwoTowerConfig& config);

  comm::Communicator& comm_;
  const data::Dataset& dataset_;
  const uint64_t seed_;
  Partition corpus_;
  kernels::UpdateGate gate_;
  std::unique_ptr<model::Net> net_;
  std::unique_ptr<ModelTables> tables_;
  Side user_, item_;
};

}  // namespace torii::trainer
