// Trains a small model on any number of ranks and gathers everything that training changed, so that
// runs can be compared: losses, dense weights and optimizer state, and every table with its state
// as if it lay on one rank.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/partition.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "comm/communicator.h"
#include "comm/in_process/rank_group.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "gtest/gtest.h"
#include "sampler/negative_sampler.h"
#include "trainer/step/train_step.h"
#include "trainer/step/two_tower.h"

namespace torii::testing {

struct SmallRun {
  trainer::TwoTowerConfig model;
  sampler::SamplerConfig sampler;
  trainer::DenseOptimizerConfig dense;
  trainer::StepOptions step;
  int64_t global_batch = 32;
  int64_t shuffle_block = 1;
  double user_balance = 0;
  bool share_user_vectors = true;  // where the model allows it
  int64_t steps = 50;
  uint64_t seed = 5;
  // Called with true before the plan or the computation of a step, with false after it; empty: not
  // called.
  std::function<void(bool begins)> around_plan, around_computation;
};

using TensorMap = std::map<std::string, at::Tensor>;

struct TrainedState {
  std::vector<double> losses;
  TensorMap tensors;  // whole tables, not shards
};

// One rank of a small training; all ranks of `comm` call the same.
class SmallTraining {
 public:
  static absl::StatusOr<std::unique_ptr<SmallTraining>> Create(comm::Communicator& comm,
                                                               const data::Dataset& dataset,
                                                               const SmallRun& run) {
    TORII_ASSIGN_OR_RETURN(auto towers, trainer::TwoTower::Create(comm, dataset, run.model));
    TORII_ASSIGN_OR_RETURN(auto sampler, sampler::NegativeSampler::Create(
                                             run.sampler, dataset.item_counts(), run.seed));
    return std::unique_ptr<SmallTraining>(
        new SmallTraining(comm, dataset, run, std::move(towers), std::move(sampler)));
  }

  // The loss of a step, which may be any: it depends on nothing but the state.
  absl::StatusOr<double> Step(int64_t step) {
    const int64_t steps_per_epoch = batches_.steps_per_epoch();
    data::Batch batch =
        batches_.Make(Epoch{step / steps_per_epoch}, StepInEpoch{step % steps_per_epoch});
    if (!run_.share_user_vectors) {  // as if no user followed itself
      batch.user_runs = RowGroups::OneEach(batch.size());
    }
    trainer::StepTime time;
    if (run_.around_plan) run_.around_plan(true);
    const absl::Status planned = trainer::PlanStep(comm_, {*towers_, *sampler_, loss_->needs()},
                                                   std::move(batch), step, &plan_, &time);
    if (run_.around_plan) run_.around_plan(false);
    TORII_RETURN_IF_ERROR(planned);
    if (run_.around_computation) run_.around_computation(true);
    const absl::StatusOr<trainer::PendingStep> pending =
        trainer::ComputeStep({*towers_, *loss_, dense_, past_vectors_}, plan_, run_.step,
                             /*learning_rate_factor=*/1.0, &time);
    if (run_.around_computation) run_.around_computation(false);
    TORII_RETURN_IF_ERROR(pending.status());
    TORII_ASSIGN_OR_RETURN(const trainer::StepResult result,
                           trainer::Collect(*pending, *loss_, run_.step.check_finite));
    return result.loss;
  }

  // Everything that training changes, on every rank.
  absl::StatusOr<TensorMap> State() {
    TensorMap state;
    for (auto& [name, tensor] : ReplicatedTensors()) {
      state[name] = at::empty(tensor.sizes(), tensor.options().device(at::kCPU)).copy_(tensor);
    }
    for (const sharding::TableState& table : towers_->tables().State()) {
      std::vector<int64_t> shape = table.tensor.sizes().vec();
      const Partition& partition = table.partition;
      shape[0] = partition.rows();
      at::Tensor whole = at::zeros(shape, at::kFloat);
      for (int64_t row = 0; row < partition.rows(); ++row) {
        if (partition.Owner(row) != comm_.rank()) continue;
        whole[row].copy_(table.tensor[partition.Slot(row)]);
      }
      TORII_RETURN_IF_ERROR(comm_.AllReduce(whole, comm::ReduceOp::kSum));
      state[table.name] = whole;
    }
    return state;
  }

  // Goes on from a state that any number of ranks had.
  void Load(const TensorMap& state) {
    for (auto& [name, tensor] : ReplicatedTensors()) tensor.copy_(state.at(name));
    for (const sharding::TableState& table : towers_->tables().State()) {
      const at::Tensor& whole = state.at(table.name);
      for (int64_t slot = 0; slot < table.tensor.size(0); ++slot) {
        table.tensor[slot].copy_(whole[table.partition.Row(comm_.rank(), slot)]);
      }
    }
  }

 private:
  SmallTraining(comm::Communicator& comm, const data::Dataset& dataset, const SmallRun& run,
                std::unique_ptr<trainer::TwoTower> towers,
                std::unique_ptr<sampler::NegativeSampler> sampler)
      : comm_(comm),
        run_(run),
        towers_(std::move(towers)),
        sampler_(std::move(sampler)),
        loss_(model::MakeLoss(run.model.model.loss(), run.model.device)),
        dense_(run.dense, towers_->net().dense()),
        past_vectors_(sampler_->num_slots(), run.model.model.dim(), run.model.device),
        batches_(dataset, {.global_batch = run.global_batch,
                           .rank = comm.rank(),
                           .world_size = comm.world_size(),
                           .seed = run.seed,
                           .history = towers_->net().history_length(),
                           .shuffle_block = run.shuffle_block,
                           .user_balance = run.user_balance}) {}

  std::vector<std::pair<std::string, at::Tensor>> ReplicatedTensors() {
    auto tensors = dense_.State();
    tensors.emplace_back("dense", towers_->net().dense().flat().detach());
    StateRegistry registry;
    sampler_->RegisterState(registry);
    past_vectors_.RegisterState(registry);
    for (const StateTensor& state : registry.tensors())
      tensors.emplace_back(state.name, state.tensor);
    return tensors;
  }

  comm::Communicator& comm_;
  const SmallRun run_;
  std::unique_ptr<trainer::TwoTower> towers_;
  std::unique_ptr<sampler::NegativeSampler> sampler_;
  std::unique_ptr<model::Loss> loss_;
  trainer::DenseOptimizer dense_;
  trainer::PastVectors past_vectors_;
  const data::BatchMaker batches_;
  trainer::StepPlan plan_;
};

// Moves every weight by up to half a unit in its last place; which way depends on `variant`.
inline absl::Status MoveWeights(SmallTraining& training, uint64_t variant) {
  const RandomStream random(variant, "test.move");
  TORII_ASSIGN_OR_RETURN(TensorMap state, training.State());
  uint64_t next = 0;
  for (auto& [name, tensor] : state) {
    if (name != "dense" && !name.ends_with(".weight")) continue;
    float* weight = tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      weight[i] *= static_cast<float>(1 + 0x1p-23 * (random.Uniform(next++) - 0.5));
    }
  }
  training.Load(state);
  return absl::OkStatus();
}

// This rank's part of the training; call it on all ranks of `comm`. Every rank gets the whole
// state. moved: 0, or the variant of MoveWeights to start with.
inline absl::StatusOr<TrainedState> TrainSmall(comm::Communicator& comm,
                                               const data::Dataset& dataset, const SmallRun& run,
                                               uint64_t moved = 0) {
  TORII_ASSIGN_OR_RETURN(const auto training, SmallTraining::Create(comm, dataset, run));
  if (moved != 0) TORII_RETURN_IF_ERROR(MoveWeights(*training, moved));
  TrainedState state;
  for (int64_t step = 0; step < run.steps; ++step) {
    TORII_ASSIGN_OR_RETURN(const double loss, training->Step(step));
    state.losses.push_back(loss);
  }
  TORII_ASSIGN_OR_RETURN(state.tensors, training->State());
  return state;
}

inline TrainedState TrainSmallOnThreads(int world_size, const data::Dataset& dataset,
                                        const SmallRun& run, uint64_t moved = 0) {
  TrainedState state;
  const absl::Status status =
      comm::RunRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
        TORII_ASSIGN_OR_RETURN(TrainedState mine, TrainSmall(comm, dataset, run, moved));
        if (comm.rank() == 0) state = std::move(mine);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return state;
}

// The largest difference of any element, divided by 1 + its size.
inline double LargestDeviation(const TrainedState& got, const TrainedState& want) {
  double largest = 0;
  for (const auto& [name, tensor] : want.tensors) {
    if (tensor.numel() == 0) continue;
    const at::Tensor off = (got.tensors.at(name) - tensor).abs() / (1 + tensor.abs());
    largest = std::max(largest, off.max().item<double>());
  }
  return largest;
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
