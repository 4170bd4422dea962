#include "eval/top_k.h"

#include <mutex>

#include "base/exit_code.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/eval/ranking_support.h"
#include "tests/support/run_on_ranks.h"

namespace torii::eval {
namespace {

using Lists = std::vector<std::vector<ScoredItem>>;

TopKRequest RequestOf(const RankingProblem& problem, int64_t k, int64_t batch_users) {
  return {problem.held_out.users, problem.held_out.seen_begin, problem.held_out.seen, k,
          batch_users};
}

void ExpectSameLists(const Lists& got, const Lists& want, const std::string& where) {
  ASSERT_EQ(got.size(), want.size()) << where;
  for (size_t u = 0; u < got.size(); ++u) {
    ASSERT_EQ(got[u].size(), want[u].size()) << where << ", user " << u;
    for (size_t i = 0; i < got[u].size(); ++i) {
      ASSERT_EQ(got[u][i].item, want[u][i].item) << where << ", user " << u << ", place " << i;
      ASSERT_EQ(got[u][i].score, want[u][i].score) << where << ", user " << u << ", place " << i;
    }
  }
}

// Runs TopK on every rank and compares each rank's lists with `want`.
void ExpectTopK(const RankingProblem& problem, int world_size, const TopKRequest& request,
                const Lists& want) {
  std::mutex mutex;
  testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const Lists lists,
                           TopK(comm, problem.Owned(comm.rank(), world_size), request,
                                [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
                                  return problem.UserVectors(users);
                                }));
    const std::lock_guard lock(mutex);
    ExpectSameLists(lists, want,
                    std::to_string(problem.num_items()) + " items, " + std::to_string(world_size) +
                        " ranks, k " + std::to_string(request.k));
    return absl::OkStatus();
  });
}

Lists BruteForceLists(const RankingProblem& problem, int64_t k) {
  Lists lists;
  for (size_t u = 0; u < problem.held_out.users.size(); ++u) {
    lists.push_back(FullRanking(problem, u));
    lists.back().resize(std::min(lists.back().size(), static_cast<size_t>(k)));
  }
  return lists;
}

TEST(TopKTest, EqualsBruteForceForAllSizesAndWorlds) {
  for (int64_t num_items = 1; num_items <= 50; ++num_items) {
    const RankingProblem problem = MakeRankingProblem(num_items, /*num_users=*/7, /*seed=*/11);
    for (int world_size = 1; world_size <= 4; ++world_size) {
      const int64_t batch_users = world_size % 2 == 0 ? 3 : 1024;
      for (const int64_t k : {1, 5, 60}) {
        ExpectTopK(problem, world_size, RequestOf(problem, k, batch_users),
                   BruteForceLists(problem, k));
      }
    }
  }
}

// More items than one tile of scores and more candidates than are kept at a time.
TEST(TopKTest, ManyItemsEqualBruteForce) {
  const RankingProblem problem = MakeRankingProblem(10007, /*num_users=*/19, /*seed=*/12);
  for (const int64_t k : {1, 10, 700}) {
    const Lists want = BruteForceLists(problem, k);
    for (const int world_size : {1, 2}) {
      ExpectTopK(problem, world_size, RequestOf(problem, k, 1024), want);
    }
  }
}

TEST(TopKTest, NoUsersGiveNoLists) {
  const RankingProblem problem = MakeRankingProblem(5, /*num_users=*/0, /*seed=*/12);

  ExpectTopK(problem, 2, RequestOf(problem, 3, 1024), {});
}

TEST(TopKTest, ListsOfNoItemsAreAnError) {
  const RankingProblem problem = MakeRankingProblem(5, /*num_users=*/1, /*seed=*/12);
  testing::RunOnRanks(1, [&](comm::Communicator& comm) {
    const auto lists = TopK(comm, problem.Owned(0, 1), RequestOf(problem, 0, 8),
                            [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
                              return problem.UserVectors(users);
                            });
    EXPECT_EQ(ExitCodeOf(lists.status()), ExitCode::kUsage);
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace torii::eval
