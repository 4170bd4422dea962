#include "eval/rank_targets.h"

#include <ATen/ATen.h>

#include <limits>
#include <mutex>

#include "base/exit_code.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/eval/ranking_support.h"
#include "tests/support/run_on_ranks.h"

namespace torii::eval {
namespace {

using testing::RunOnRanks;

// The ranks of a problem on `world_size` ranks; checks that they are the same on all.
std::vector<int64_t> RanksOn(int world_size, const RankingProblem& problem, int64_t batch_users,
                             Partition::Kind kind = Partition::Kind::kRowModWorld) {
  std::mutex mutex;
  std::vector<std::vector<int64_t>> by_rank(static_cast<size_t>(world_size));
  RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(std::vector<int64_t> ranks,
                           RankTargets(
                               comm, problem.Owned(comm.rank(), world_size, kind), problem.held_out,
                               [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
                                 return problem.UserVectors(users);
                               },
                               batch_users));
    const std::lock_guard lock(mutex);
    by_rank[static_cast<size_t>(comm.rank())] = std::move(ranks);
    return absl::OkStatus();
  });
  for (const auto& ranks : by_rank) EXPECT_EQ(ranks, by_rank[0]) << "ranks disagree";
  return by_rank[0];
}

TEST(RankTargetsTest, EqualsBruteForceForAllSizesAndWorlds) {
  for (int64_t num_items = 1; num_items <= 50; ++num_items) {
    const RankingProblem problem = MakeRankingProblem(num_items, /*num_users=*/7, /*seed=*/1);
    const std::vector<int64_t> want = BruteForceRanks(problem);
    for (int world_size = 1; world_size <= 4; ++world_size) {
      for (const int64_t batch_users : {1, 3, 1024}) {
        ASSERT_EQ(RanksOn(world_size, problem, batch_users), want)
            << num_items << " items, " << world_size << " ranks, batches of " << batch_users;
      }
    }
  }
}

TEST(RankTargetsTest, BlocksOfItemsGiveTheSameRanks) {
  for (const int64_t num_items : {1, 2, 3, 13, 50}) {
    const RankingProblem problem = MakeRankingProblem(num_items, /*num_users=*/7, /*seed=*/1);
    for (const int world_size : {1, 2, 3, 4}) {
      EXPECT_EQ(RanksOn(world_size, problem, 3, Partition::Kind::kBlocks), BruteForceRanks(problem))
          << num_items << " items, " << world_size << " ranks";
    }
  }
}

TEST(RankTargetsTest, RefusesItemsOfAnotherPartition) {
  const RankingProblem problem = MakeRankingProblem(8, /*num_users=*/3, /*seed=*/1);
  RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    for (const OwnedItems& items : {problem.Owned(comm.rank(), 3),
                                    problem.Owned(comm.rank(), 2, Partition::Kind::kReplicated)}) {
      const auto ranks = RankTargets(
          comm, items, problem.held_out,
          [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
            return problem.UserVectors(users);
          },
          4);
      TORII_EXPECT_OR_RETURN(ExitCodeOf(ranks.status()) == ExitCode::kInternal);
    }
    return absl::OkStatus();
  });
}

TEST(RankTargetsTest, ManyUsersAndItemsEqualBruteForce) {
  const RankingProblem problem = MakeRankingProblem(307, /*num_users=*/151, /*seed=*/2);
  const std::vector<int64_t> want = BruteForceRanks(problem);

  for (const int world_size : {1, 3}) EXPECT_EQ(RanksOn(world_size, problem, 100), want);
}

// Scores that round: the ranks are those of one rank whatever the world.
TEST(RankTargetsTest, RealScoresGiveTheSameRanksOnEveryWorld) {
  RankingProblem problem = MakeRankingProblem(200, /*num_users=*/40, /*seed=*/3);
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{5});
  problem.users = at::randn({80, 33}, generator, at::kFloat);
  problem.items = at::randn({200, 33}, generator, at::kFloat);
  for (int64_t j = 2; j < 200; j += 3) problem.items[j].copy_(problem.items[j - 2]);
  const std::vector<int64_t> want = RanksOn(1, problem, 1024);

  for (const int world_size : {2, 3, 4, 7}) EXPECT_EQ(RanksOn(world_size, problem, 16), want);
}

TEST(RankTargetsTest, ZeroVectorsRankByRow) {
  RankingProblem problem = MakeRankingProblem(60, /*num_users=*/5, /*seed=*/4);
  problem.items.zero_();

  EXPECT_EQ(RanksOn(3, problem, 1024), BruteForceRanks(problem));
}

TEST(RankTargetsTest, NoUsersGiveNoRanks) {
  RankingProblem problem = MakeRankingProblem(5, /*num_users=*/0, /*seed=*/4);

  EXPECT_TRUE(RanksOn(2, problem, 1024).empty());
}

TEST(RankTargetsTest, QueriesAreAskedInEvenPartsEquallyOftenOnAllRanks) {
  const RankingProblem problem = MakeRankingProblem(9, /*num_users=*/5, /*seed=*/6);
  std::mutex mutex;
  std::vector<std::vector<size_t>> calls(3);

  RunOnRanks(3, [&](comm::Communicator& comm) -> absl::Status {
    return RankTargets(
               comm, problem.Owned(comm.rank(), 3), problem.held_out,
               [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
                 const std::lock_guard lock(mutex);
                 calls[static_cast<size_t>(comm.rank())].push_back(users.size());
                 return problem.UserVectors(users);
               },
               /*batch_users=*/4)
        .status();
  });

  EXPECT_EQ(calls, (std::vector<std::vector<size_t>>{{2, 1}, {1, 0}, {1, 0}}));
}

// The status of every rank for a problem that cannot be ranked.
void ExpectErrorOnAllRanks(const RankingProblem& problem, ExitCode code, const std::string& part) {
  for (const int world_size : {1, 2, 3}) {
    const absl::Status status = comm::RunRanks(world_size, [&](comm::Communicator& comm) {
      const absl::Status own =
          RankTargets(
              comm, problem.Owned(comm.rank(), world_size), problem.held_out,
              [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
                return problem.UserVectors(users);
              },
              1024)
              .status();
      EXPECT_EQ(ExitCodeOf(own), code) << own;
      EXPECT_NE(own.message().find(part), absl::string_view::npos) << own;
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(RankTargetsTest, NanInAUserVectorNamesTheUser) {
  RankingProblem problem = MakeRankingProblem(20, /*num_users=*/6, /*seed=*/7);
  problem.users[4][1] = std::numeric_limits<float>::quiet_NaN();

  ExpectErrorOnAllRanks(problem, ExitCode::kDiverged, "user row 4");
}

TEST(RankTargetsTest, InfinityInAnItemVectorNamesTheItem) {
  RankingProblem problem = MakeRankingProblem(20, /*num_users=*/6, /*seed=*/7);
  problem.items[13][0] = -std::numeric_limits<float>::infinity();

  ExpectErrorOnAllRanks(problem, ExitCode::kDiverged, "item row 13");
}

TEST(RankTargetsTest, ScoresBeyondFloatNameTheUser) {
  RankingProblem problem = MakeRankingProblem(20, /*num_users=*/6, /*seed=*/7);
  problem.items[19][0] = 1e30F;
  problem.users.fill_(1.0F);
  problem.users[8][2] = -1e30F;

  ExpectErrorOnAllRanks(problem, ExitCode::kDiverged, "user row 8");
}

TEST(RankTargetsTest, AQueryThatFailsOnOneRankIsAnErrorOnAll) {
  const RankingProblem problem = MakeRankingProblem(20, /*num_users=*/6, /*seed=*/7);
  const absl::Status status = comm::RunRanks(3, [&](comm::Communicator& comm) {
    const absl::Status own = RankTargets(
                                 comm, problem.Owned(comm.rank(), 3), problem.held_out,
                                 [&](std::span<const int64_t> users) -> absl::StatusOr<at::Tensor> {
                                   if (comm.rank() == 1) return DataError("no such user");
                                   return problem.UserVectors(users);
                                 },
                                 1024)
                                 .status();
    EXPECT_NE(own.message().find("no such user"), absl::string_view::npos) << own;
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(RankTargetsByCountTest, EqualsRankingByScoresThatAreCounts) {
  for (const int64_t num_items : {1, 2, 11, 50}) {
    RankingProblem problem = MakeRankingProblem(num_items, /*num_users=*/9, /*seed=*/8);
    problem.users.fill_(1.0F);
    problem.items.abs_();
    std::vector<int64_t> counts;
    for (int64_t j = 0; j < num_items; ++j) {
      counts.push_back(problem.items[j].sum().item<int64_t>());
    }

    EXPECT_EQ(RankTargetsByCount(counts, problem.held_out), BruteForceRanks(problem)) << num_items;
  }
}

TEST(ValidateTest, NamesEveryBadField) {
  EvalConfig config;
  EXPECT_TRUE(Validate(config).empty());
  config.add_k(10);
  config.add_k(0);
  config.add_k(10);
  config.set_batch_users(0);

  const std::vector<std::string> errors = Validate(config);

  ASSERT_EQ(errors.size(), 3U);
  EXPECT_NE(errors[0].find("eval.k: 0"), std::string::npos);
  EXPECT_NE(errors[1].find("eval.k: 10 is listed twice"), std::string::npos);
  EXPECT_NE(errors[2].find("eval.batch_users: 0"), std::string::npos);
}

}  // namespace
}  // namespace torii::eval
