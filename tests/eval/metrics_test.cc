#include "eval/metrics.h"

#include "gtest/gtest.h"

namespace torii::eval {
namespace {

// Ranked a b c d e; relevant are b, d and one that is not among the first five.
TEST(MetricsTest, GoldenExample) {
  const std::vector<int64_t> ranks = {4, 2, 6};
  const std::vector<int> ks = {5};

  const std::map<std::string, double> metrics = UserMetrics(ranks, ks);

  EXPECT_NEAR(metrics.at("recall@5"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(metrics.at("precision@5"), 0.4, 1e-12);
  EXPECT_NEAR(metrics.at("ndcg@5"), 0.49818926, 5e-9);
  EXPECT_NEAR(metrics.at("mrr@5"), 0.5, 1e-12);
  EXPECT_NEAR(metrics.at("map@5"), 1.0 / 3, 1e-12);
  EXPECT_EQ(metrics.at("hit_rate@5"), 1);
  EXPECT_EQ(metrics.at("mrr"), 0.5);
}

TEST(MetricsTest, PerfectRankingIsOneEvenWhenThereAreMoreTargetsThanPlaces) {
  const std::vector<int64_t> ranks = {1, 2, 3, 4};
  const std::vector<int> ks = {2, 4, 10};

  const std::map<std::string, double> metrics = UserMetrics(ranks, ks);

  EXPECT_EQ(metrics.at("recall@2"), 0.5);
  EXPECT_EQ(metrics.at("precision@10"), 0.4);
  for (const char* name : {"ndcg@2", "ndcg@4", "ndcg@10", "map@2", "map@4", "map@10", "recall@4"}) {
    EXPECT_DOUBLE_EQ(metrics.at(name), 1) << name;
  }
}

TEST(MetricsTest, NothingWithinTheCutOffIsZeroButMrrHasNoCutOff) {
  const std::vector<int64_t> ranks = {8};
  const std::vector<int> ks = {5};

  const std::map<std::string, double> metrics = UserMetrics(ranks, ks);

  for (const auto& [name, value] : metrics) EXPECT_EQ(value, name == "mrr" ? 0.125 : 0) << name;
}

HeldOut TwoUsers() {
  HeldOut held_out;
  held_out.users = {3, 5};
  held_out.target_begin = {0, 2, 3};
  held_out.targets = {10, 11, 12};
  held_out.seen_begin = {0, 0, 0};
  return held_out;
}

TEST(MetricsTest, AggregateIsTheMeanOverUsersNotTargets) {
  const std::vector<int64_t> ranks = {1, 2, 30};
  const std::vector<int> ks = {2};

  const Metrics metrics = Aggregate(TwoUsers(), ranks, ks);

  EXPECT_EQ(metrics.users, 2);
  EXPECT_EQ(metrics.targets, 3);
  EXPECT_EQ(metrics.values.at("recall@2"), 0.5);
  EXPECT_DOUBLE_EQ(metrics.values.at("mrr"), (1.0 + 1.0 / 30) / 2);
}

TEST(MetricsTest, AggregateOfNobodyHasNoValues) {
  HeldOut held_out;
  held_out.target_begin = {0};
  held_out.seen_begin = {0};
  const std::vector<int> ks = {10};

  const Metrics metrics = Aggregate(held_out, {}, ks);

  EXPECT_EQ(metrics.users, 0);
  EXPECT_TRUE(metrics.values.empty());
  EXPECT_FALSE(FormatTable(metrics, metrics, ks).empty());
}

TEST(MetricsTest, PerUserFileHasALinePerUserUnderAHeader) {
  const std::string path = JoinPath(::testing::TempDir(), "torii_per_user.tsv");
  const std::vector<int64_t> ranks = {1, 9, 4};
  const std::vector<int> ks = {2};

  ASSERT_TRUE(WritePerUser(LocalFiles(), path, TwoUsers(), ranks, ks, [](int64_t user) {
                return "name\t" + std::to_string(user);
              }).ok());

  const auto text = ReadFile(LocalFiles(), path);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text,
            "user\ttargets\tranks\thit_rate@2\tmap@2\tmrr\tmrr@2\tndcg@2\tprecision@2\trecall@2\n"
            "name\\t3\t2\t1,9\t1\t0.5\t1\t1\t0.613147193\t0.5\t0.5\n"
            "name\\t5\t1\t4\t0\t0\t0.25\t0\t0\t0\t0\n");
}

TEST(MetricsTest, TableHasFixedWidthRowsWithModelBesideBaseline) {
  const std::vector<int64_t> ranks = {1, 2, 30};
  const std::vector<int64_t> baseline_ranks = {50, 51, 3};
  const std::vector<int> ks = {2, 10};

  const std::string table =
      FormatTable(Aggregate(TwoUsers(), ranks, ks), Aggregate(TwoUsers(), baseline_ranks, ks), ks);

  EXPECT_NE(table.find("recall         0.5000    0.0000     0.5000    0.5000\n"), std::string::npos)
      << table;
  EXPECT_NE(table.find("2 users, 3 held-out items"), std::string::npos) << table;
}

}  // namespace
}  // namespace torii::eval
