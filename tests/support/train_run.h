// Trains a small model on any number of ranks and gathers everything that training changed, so that
// runs can be compared: losses, dense weights and optimizer state, and every table with its state
// as if it lay on one rank.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "comm/communicator.h"
#include "comm/in_process/rank_group.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "gtest/gtest.h"
#include "sampler/negative_sampler.h"
#include "trainer/train_step.h"
#include "trainer/two_tower.h"

namespace torii::testing {

struct SmallRun {
  trainer::TwoTowerConfig model;
  sampler::SamplerConfig sampler;
  trainer::DenseOptimizerConfig dense;
  trainer::StepOptions step;
  int64_t global_batch = 32;
  int64_t steps = 50;
  uint64_t seed = 5;
};

struct TrainedState {
  std::vector<double> losses;
  std::map<std::string, at::Tensor> tensors;  // whole tables, not shards
};

// This rank's part of the training; call it on all ranks of `comm`. Every rank gets the whole
// state.
inline absl::StatusOr<TrainedState> TrainSmall(comm::Communicator& comm,
                                               const data::Dataset& dataset, const SmallRun& run) {
  TORII_ASSIGN_OR_RETURN(auto towers, trainer::TwoTower::Create(comm, dataset, run.model));
  TORII_ASSIGN_OR_RETURN(
      auto sampler, sampler::NegativeSampler::Create(run.sampler, dataset.item_counts(), run.seed));
  trainer::DenseOptimizer dense(run.dense, towers->dense());
  const data::BatchMaker batches(dataset, {.global_batch = run.global_batch,
                                           .rank = comm.rank(),
                                           .world_size = comm.world_size(),
                                           .seed = run.seed,
                                           .history = towers->history_length()});
  TrainedState state;
  trainer::StepTime time;
  for (int64_t step = 0; step < run.steps; ++step) {
    const data::Batch batch =
        batches.Make(step / batches.steps_per_epoch(), step % batches.steps_per_epoch());
    TORII_ASSIGN_OR_RETURN(const trainer::StepResult result,
                           trainer::TrainStep(*towers, *sampler, dense, batch, run.step, step,
                                              /*learning_rate_factor=*/1.0, &time));
    state.losses.push_back(result.loss);
  }
  state.tensors["dense"] = towers->dense().flat().detach().clone();
  for (auto& [name, tensor] : dense.State()) state.tensors[name] = tensor.clone();
  for (const sharding::TableState& table : towers->TableStates()) {
    std::vector<int64_t> shape = table.tensor.sizes().vec();
    shape[0] = table.rows;
    at::Tensor whole = at::zeros(shape, at::kFloat);
    for (int64_t row = comm.rank(); row < table.rows; row += comm.world_size()) {
      whole[row].copy_(table.tensor[RowSlot(row, comm.world_size())]);
    }
    TORII_RETURN_IF_ERROR(comm.AllReduce(whole, comm::ReduceOp::kSum));
    state.tensors[table.name] = whole;
  }
  return state;
}

inline TrainedState TrainSmallOnThreads(int world_size, const data::Dataset& dataset,
                                        const SmallRun& run) {
  TrainedState state;
  const absl::Status status =
      comm::RunRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
        TORII_ASSIGN_OR_RETURN(TrainedState mine, TrainSmall(comm, dataset, run));
        if (comm.rank() == 0) state = std::move(mine);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return state;
}

// Losses within `tolerance` relative; every element of every tensor within `tolerance` of 1 + its
// size.
inline void ExpectSameTraining(const TrainedState& got, const TrainedState& want, double tolerance,
                               const std::string& what) {
  ASSERT_EQ(got.losses.size(), want.losses.size()) << what;
  for (size_t s = 0; s < want.losses.size(); ++s) {
    EXPECT_NEAR(got.losses[s], want.losses[s], tolerance * std::abs(want.losses[s]))
        << what << ", step " << s;
  }
  ASSERT_EQ(got.tensors.size(), want.tensors.size()) << what;
  for (const auto& [name, tensor] : want.tensors) {
    ASSERT_TRUE(got.tensors.contains(name)) << what << ": " << name;
    const at::Tensor& other = got.tensors.at(name);
    ASSERT_EQ(other.sizes(), tensor.sizes()) << what << ": " << name;
    if (tensor.numel() == 0) continue;
    const at::Tensor error = (other - tensor).abs() / (tensor.abs() + 1);
    EXPECT_LE(error.max().item<double>(), tolerance) << what << ": " << name;
  }
}

}  // namespace torii::testing
