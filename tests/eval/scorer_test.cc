// Ranking through a scorer that is no inner product: a small MLP over (u, v, u * v).
#include <ATen/ATen.h>

#include <mutex>
#include <vector>

#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "kernels/host_tensors.h"
#include "kernels/linear_stack.h"
#include "tests/eval/ranking_support.h"
#include "tests/support/elsewhere_device.h"
#include "tests/support/run_on_ranks.h"

namespace torii::eval {
namespace {

using testing::RunOnRanks;

// Rows of the kernels' linear stacks do not depend on one another, so that a score does not depend
// on its tile.
class PairScorer {
 public:
  explicit PairScorer(int64_t dim) {
    for (const auto& [in, out] :
         {std::pair{3 * dim, int64_t{8}}, std::pair{int64_t{8}, int64_t{1}}}) {
      layers_.push_back({at::arange(in * out, at::kFloat).sin_().view({out, in}),
                         at::arange(out, at::kFloat).cos_()});
    }
  }
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& v) const {
    const int64_t r = q.size(0), n = v.size(0), dim = q.size(1);
    const at::Tensor u = q.unsqueeze(1).expand({r, n, dim}), w = v.unsqueeze(0).expand({r, n, dim});
    const at::Tensor pairs = at::cat({u, w, u * w}, 2).view({r * n, 3 * dim});
    if (!kernels::HasLinearStack(kernels::Device::Cpu())) return Composed(pairs).view({r, n});
    return kernels::LinearStackForward(kernels::Device::Cpu(), pairs, layers_, false, false)
        .y.view({r, n});
  }

 private:
  at::Tensor Composed(const at::Tensor& x) const {
    const at::Tensor hidden = at::relu(at::linear(x, layers_[0].weight, layers_[0].bias));
    return at::linear(hidden, layers_[1].weight, layers_[1].bias);
  }
  std::vector<kernels::LinearWeights> layers_;
};

// All unseen items of the u-th user, best first, ties by row.
std::vector<ScoredItem> Ranking(const RankingProblem& problem, const PairScorer& scorer, size_t u) {
  const HeldOut& held_out = problem.held_out;
  const std::vector<float> scores = kernels::ListOf<float>(
      scorer(problem.UserVectors({held_out.users.data() + u, 1}), problem.items));
  std::vector<ScoredItem> ranking;
  for (int64_t item = 0; item < problem.num_items(); ++item) {
    const auto begin = held_out.seen.begin() + held_out.seen_begin[u];
    const auto end = held_out.seen.begin() + held_out.seen_begin[u + 1];
    if (std::find(begin, end, item) != end) continue;
    ranking.push_back({item, scores[static_cast<size_t>(item)]});
  }
  std::stable_sort(ranking.begin(), ranking.end(),
                   [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
  return ranking;
}

TEST(ScorerTest, RanksAndListsEqualBruteForceOnEveryWorld) {
  for (const int64_t num_items : {1, 2, 13, 50}) {
    const RankingProblem problem = MakeRankingProblem(num_items, /*num_users=*/9, /*seed=*/4);
    const PairScorer scorer(problem.items.size(1));
    const HeldOut& held_out = problem.held_out;
    TopKRequest request{held_out.users, held_out.seen_begin, held_out.seen, /*k=*/7,
                        /*batch_users=*/4};
    for (const int world_size : {1, 2, 3, 4}) {
      RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
        OwnedItems items = problem.Owned(comm.rank(), world_size);
        items.scores = scorer;
        const QueryFunction query =
            [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
          return problem.UserVectors(users);
        };
        TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> ranks,
                               RankTargets(comm, items, held_out, query, /*batch_users=*/4));
        TORII_ASSIGN_OR_RETURN(const auto lists, TopK(comm, items, request, query));
        for (size_t u = 0; u < held_out.users.size(); ++u) {
          const std::vector<ScoredItem> want = Ranking(problem, scorer, u);
          for (int64_t t = held_out.target_begin[u]; t < held_out.target_begin[u + 1]; ++t) {
            const int64_t target = held_out.targets[static_cast<size_t>(t)];
            const auto found =
                std::find_if(want.begin(), want.end(),
                             [&](const ScoredItem& scored) { return scored.item == target; });
            EXPECT_EQ(ranks[static_cast<size_t>(t)], 1 + (found - want.begin()))
                << num_items << " items, " << world_size << " ranks, user " << u;
          }
          EXPECT_EQ(lists[u].size(), std::min<size_t>(7, want.size()));
          for (size_t i = 0; i < lists[u].size(); ++i) {
            EXPECT_EQ(lists[u][i].item, want[i].item);
            EXPECT_EQ(lists[u][i].score, want[i].score);
          }
        }
        return absl::OkStatus();
      });
    }
  }
}

TEST(ScorerTest, EveryDeviceRanksLikeTheKernelsOfTheCpu) {
  const RankingProblem problem = MakeRankingProblem(50, /*num_users=*/9, /*seed=*/5);
  const HeldOut& held_out = problem.held_out;
  const TopKRequest request{held_out.users, held_out.seen_begin, held_out.seen, /*k=*/7,
                            /*batch_users=*/4};
  for (const kernels::Device& device :
       {kernels::Device::Composed(), kernels::Device::Emulated(), testing::Elsewhere()}) {
    RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
      OwnedItems items = problem.Owned(comm.rank(), 2);
      items.device = device;
      items.vectors = items.vectors.to(device.torch());
      const QueryFunction query =
          [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
        return problem.UserVectors(users).to(device.torch());
      };
      TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> ranks,
                             RankTargets(comm, items, held_out, query, /*batch_users=*/4));
      EXPECT_EQ(ranks, BruteForceRanks(problem)) << device.name();
      TORII_ASSIGN_OR_RETURN(const auto lists, TopK(comm, items, request, query));
      for (size_t u = 0; u < held_out.users.size(); ++u) {
        const std::vector<ScoredItem> want = FullRanking(problem, u);
        for (size_t i = 0; i < std::min<size_t>(7, want.size()); ++i) {
          EXPECT_EQ(lists[u][i].item, want[i].item) << device.name();
          EXPECT_EQ(lists[u][i].score, want[i].score) << device.name();
        }
      }
      return absl::OkStatus();
    });
  }
}

}  // namespace
}  // namespace torii::eval
