#include "trainer/step/column_exchange.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "kernels/host_tensors.h"
#include "tests/support/run_on_ranks.h"

namespace torii::trainer {
namespace {

constexpr int64_t kDim = 3;

// The vector of an item: numbers that name it.
at::Tensor VectorsOf(const std::vector<int64_t>& items) {
  at::Tensor vectors = at::empty({std::ssize(items), kDim}, at::kFloat);
  for (int64_t i = 0; i < std::ssize(items); ++i) {
    for (int64_t d = 0; d < kDim; ++d) {
      vectors[i][d] = static_cast<float>(10 * items[static_cast<size_t>(i)] + d);
    }
  }
  return vectors;
}

// Distinct items ordered by (row mod W, row).
sampler::Candidates CandidatesOf(const std::vector<int64_t>& items, int world, bool same) {
  sampler::Candidates candidates;
  std::vector<int64_t> ordered;
  for (int owner = 0; owner < world; ++owner) {
    const size_t before = ordered.size();
    for (const int64_t item : items) {
      if (item % world == owner) ordered.push_back(item);
    }
    candidates.owner_columns.push_back(static_cast<int64_t>(ordered.size() - before));
  }
  candidates.rows = kernels::TensorOf(ordered);
  candidates.same_on_all_ranks = same;
  return candidates;
}

// Each rank's items. Some are asked by several ranks, a rank may ask for none, an owner serve none.
std::vector<std::vector<int64_t>> ItemsOfRanks(int world) {
  std::vector<std::vector<int64_t>> items = {{0, 1, 2, 5, 9}, {}, {1, 5, 7}, {5}};
  items.resize(static_cast<size_t>(world), {2, 3});
  return items;
}

// Every rank gets the vectors of its columns, and the owner the sum of all ranks' gradients.
void CheckExchange(comm::Communicator& comm, const sampler::Candidates& candidates) {
  const ColumnRoute route = *PlanColumns(comm, candidates, kernels::Device::Cpu());
  for (const int64_t item : route.owned) EXPECT_EQ(item % comm.world_size(), comm.rank());
  const at::Tensor owned = VectorsOf(route.owned).requires_grad_();
  const SentColumns columns = *SendColumns(comm, route, owned, kernels::Device::Cpu());
  const std::vector<int64_t> scored = kernels::ListOf<int64_t>(candidates.rows);
  EXPECT_TRUE(at::equal(columns.v, VectorsOf(scored)));
  EXPECT_FALSE(columns.v.requires_grad());

  // Rank r's gradient of item i: 100 r + i.
  at::Tensor v_grad = at::empty({std::ssize(scored), kDim}, at::kFloat);
  for (int64_t c = 0; c < std::ssize(scored); ++c) {
    v_grad[c].fill_(static_cast<double>(100 * comm.rank() + scored[static_cast<size_t>(c)]));
  }
  const at::Tensor gradient = *ReturnGradients(comm, route, v_grad);
  if (!columns.sent.requires_grad()) return;
  torch::autograd::backward({columns.sent}, {gradient});
  for (int64_t i = 0; i < std::ssize(route.owned); ++i) {
    const int64_t item = route.owned[static_cast<size_t>(i)];
    double expected = 0;
    const auto of_ranks = ItemsOfRanks(comm.world_size());
    for (int64_t r = 0; r < comm.world_size(); ++r) {
      const auto& list = of_ranks[static_cast<size_t>(r)];
      const bool asks = std::find(list.begin(), list.end(), item) != list.end();
      if (candidates.same_on_all_ranks || asks) expected += static_cast<double>(100 * r + item);
    }
    EXPECT_EQ(owned.grad()[i][0].item<double>(), expected) << "item " << item;
  }
}

TEST(ColumnExchangeTest, ARankGetsItsOwnColumnsAndOwnersTheSumOfTheGradients) {
  for (const int world : {1, 2, 3, 4, 7}) {
    testing::RunOnRanks(world, [&](comm::Communicator& comm) -> absl::Status {
      const auto items = ItemsOfRanks(world)[static_cast<size_t>(comm.rank())];
      CheckExchange(comm, CandidatesOf(items, world, /*same=*/false));
      return absl::OkStatus();
    });
  }
}

TEST(ColumnExchangeTest, TheSameColumnsGoToAllRanks) {
  for (const int world : {1, 2, 3, 4}) {
    testing::RunOnRanks(world, [&](comm::Communicator& comm) -> absl::Status {
      CheckExchange(comm, CandidatesOf({0, 1, 2, 5, 9, 12}, world, /*same=*/true));
      return absl::OkStatus();
    });
  }
}

TEST(ColumnExchangeTest, NobodyMayAskForAnything) {
  testing::RunOnRanks(3, [&](comm::Communicator& comm) -> absl::Status {
    CheckExchange(comm, CandidatesOf({}, 3, /*same=*/false));
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace torii::trainer
