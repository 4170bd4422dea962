#include "data/synthetic/synthetic.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "arrow/api.h"
#include "base/exit_code.h"
#include "base/files/fault_file_system.h"
#include "data/arrow_file.h"
#include "data/synthetic/synthetic_world.h"
#include "gtest/gtest.h"
#include "parquet/arrow/reader.h"

namespace torii::data {
namespace {

std::string Folder(const std::string& name) {
  return JoinPath(::testing::TempDir(), "synthetic_test." + name);
}

std::shared_ptr<arrow::Table> ReadTable(const std::string& path) {
  auto file = LocalFiles().OpenForReading(path);
  EXPECT_TRUE(file.ok()) << file.status();
  auto reader =
      parquet::arrow::OpenFile(ToArrowFile(*std::move(file)), arrow::default_memory_pool());
  EXPECT_TRUE(reader.ok()) << reader.status();
  auto table = (*reader)->ReadTable();
  EXPECT_TRUE(table.ok()) << table.status();
  return (*table)->CombineChunks().ValueOrDie();
}

template <typename Array, typename Value>
std::vector<Value> Column(const arrow::Table& table, const std::string& name) {
  std::vector<Value> values;
  const auto column = table.GetColumnByName(name);
  EXPECT_NE(column, nullptr) << name;
  for (const auto& chunk : column->chunks()) {
    const auto& array = dynamic_cast<const Array&>(*chunk);
    EXPECT_EQ(array.null_count(), 0);
    for (int64_t i = 0; i < array.length(); ++i) values.push_back(Value(array.GetView(i)));
  }
  return values;
}
std::vector<int64_t> Integers(const arrow::Table& table, const std::string& name) {
  return Column<arrow::Int64Array, int64_t>(table, name);
}
std::vector<std::string> Texts(const arrow::Table& table, const std::string& name) {
  return Column<arrow::StringArray, std::string>(table, name);
}

// Items of each user (both from 0), in order of time.
std::vector<std::vector<int64_t>> ReadHistories(const std::string& folder, int64_t users) {
  const auto table = ReadTable(JoinPath(folder, "interactions.parquet"));
  const std::vector<int64_t> user = Integers(*table, "user_id");
  const std::vector<int64_t> item = Integers(*table, "item_id");
  const std::vector<int64_t> time = Integers(*table, "timestamp");
  EXPECT_TRUE(std::is_sorted(time.begin(), time.end()));
  std::vector<std::vector<int64_t>> histories(static_cast<size_t>(users));
  for (size_t i = 0; i < user.size(); ++i) {
    histories.at(static_cast<size_t>(user[i] - 1)).push_back(item[i] - 1);
  }
  return histories;
}

TEST(SyntheticTest, SameOptionsGiveTheSameBytesAndAnotherSeedGivesOthers) {
  const SyntheticOptions options = {.users = 50, .items = 60, .interactions_per_user = 10};
  SyntheticOptions other = options;
  other.seed = 2;
  ASSERT_TRUE(WriteSyntheticData(LocalFiles(), Folder("a"), options).ok());
  ASSERT_TRUE(WriteSyntheticData(LocalFiles(), Folder("b"), options).ok());
  ASSERT_TRUE(WriteSyntheticData(LocalFiles(), Folder("c"), other).ok());

  for (const char* name : {"interactions.parquet", "users.parquet", "items.parquet"}) {
    const std::string a = ReadFile(LocalFiles(), JoinPath(Folder("a"), name)).value();
    EXPECT_EQ(a, ReadFile(LocalFiles(), JoinPath(Folder("b"), name)).value()) << name;
    EXPECT_NE(a, ReadFile(LocalFiles(), JoinPath(Folder("c"), name)).value()) << name;
  }
}

TEST(SyntheticTest, WritesEveryUserAndItemOnceAndDistinctItemsForEachUser) {
  const SyntheticOptions options = {.users = 101, .items = 200, .interactions_per_user = 20};
  ASSERT_TRUE(WriteSyntheticData(LocalFiles(), Folder("ids"), options).ok());

  const auto users = ReadTable(JoinPath(Folder("ids"), "users.parquet"));
  const auto items = ReadTable(JoinPath(Folder("ids"), "items.parquet"));
  std::vector<int64_t> expected(200);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(Integers(*items, "item_id"), expected);
  expected.resize(101);
  EXPECT_EQ(Integers(*users, "user_id"), expected);
  const std::vector<std::string> titles = Texts(*items, "title");
  EXPECT_EQ(std::set<std::string>(titles.begin(), titles.end()).size(), 200u);
  const std::vector<double> prices = Column<arrow::DoubleArray, double>(*items, "price");
  EXPECT_GT(*std::min_element(prices.begin(), prices.end()), 0);

  size_t rows = 0;
  for (const std::vector<int64_t>& history : ReadHistories(Folder("ids"), 101)) {
    EXPECT_GE(history.size(), 5u);
    EXPECT_EQ(std::set<int64_t>(history.begin(), history.end()).size(), history.size());
    rows += history.size();
  }
  EXPECT_NEAR(static_cast<double>(rows) / 101, 20, 3);
}

TEST(SyntheticTest, StatedPopularityRecallIsThatOfTheFiles) {
  const SyntheticOptions options = {.users = 300, .items = 400, .interactions_per_user = 25};
  const auto truth = WriteSyntheticData(LocalFiles(), Folder("recall"), options);
  ASSERT_TRUE(truth.ok()) << truth.status();
  const auto histories = ReadHistories(Folder("recall"), options.users);
  std::vector<int64_t> counts(400);
  const auto held_out = [](const std::vector<int64_t>& h) {
    return std::max<size_t>(1, h.size() / 10);
  };
  for (const auto& h : histories) {
    for (size_t i = 0; i + held_out(h) < h.size(); ++i) ++counts[static_cast<size_t>(h[i])];
  }

  // The rank of a held-out item: one more than the unseen items that come before it.
  double sum = 0;
  for (const auto& h : histories) {
    const std::set<int64_t> seen(h.begin(), h.end() - static_cast<ptrdiff_t>(held_out(h)));
    int hits = 0;
    for (size_t i = seen.size(); i < h.size(); ++i) {
      int before = 0;
      for (int64_t other = 0; other < 400; ++other) {
        const int64_t a = counts[static_cast<size_t>(other)];
        const int64_t b = counts[static_cast<size_t>(h[i])];
        if (!seen.contains(other) && (a > b || (a == b && other < h[i]))) ++before;
      }
      hits += before < 20 ? 1 : 0;
    }
    sum += static_cast<double>(hits) / static_cast<double>(held_out(h));
  }
  EXPECT_NEAR(truth->popularity_recall_at_20, sum / 300, 1e-12);
}

TEST(SyntheticTest, TheTruthIsWellAbovePopularity) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    const SyntheticTruth truth = SyntheticWorld({.seed = seed}).Truth();

    EXPECT_GT(truth.oracle_recall_at_20, 0.25) << seed;
    EXPECT_LT(truth.oracle_recall_at_20, 0.9) << seed;
    EXPECT_GT(truth.oracle_recall_at_20, 3 * truth.popularity_recall_at_20) << seed;
  }
}

TEST(SyntheticTest, FeaturesTellTheClusterWithNoise) {
  const SyntheticOptions options;
  ASSERT_TRUE(WriteSyntheticData(LocalFiles(), Folder("features"), options).ok());
  const SyntheticWorld world(options);
  const auto items = ReadTable(JoinPath(Folder("features"), "items.parquet"));
  const auto users = ReadTable(JoinPath(Folder("features"), "users.parquet"));
  // Share of rows whose label is their cluster's most frequent one.
  const auto purity = [](const std::vector<std::string>& labels, const auto& cluster_of) {
    std::map<int64_t, std::map<std::string, int64_t>> counts;
    for (size_t i = 0; i < labels.size(); ++i) {
      ++counts[cluster_of(static_cast<int64_t>(i))][labels[i]];
    }
    int64_t agree = 0;
    for (const auto& [cluster, of] : counts) {
      int64_t most = 0;
      for (const auto& [label, count] : of) most = std::max(most, count);
      agree += most;
    }
    return static_cast<double>(agree) / static_cast<double>(labels.size());
  };
  const std::vector<std::string> categories = Texts(*items, "category");
  const std::vector<std::string> cities = Texts(*users, "city");

  EXPECT_EQ(std::set<std::string>(categories.begin(), categories.end()).size(), 12u);
  EXPECT_NEAR(purity(categories, [&](int64_t i) { return world.ClusterOf(i); }), 0.91, 0.03);
  EXPECT_NEAR(purity(cities, [&](int64_t u) { return world.TasteOf(u).cluster[0]; }), 0.77, 0.04);
  for (const std::string& words : Texts(*items, "words")) {
    EXPECT_EQ(std::count(words.begin(), words.end(), ' '), 5) << words;
  }
}

TEST(SyntheticWorldTest, BestItemsAreThoseOfAFullSort) {
  const SyntheticWorld world({.users = 20, .items = 97, .interactions_per_user = 8, .clusters = 5});
  for (int64_t user = 0; user < world.users(); ++user) {
    std::vector<bool> seen(97);
    for (const int64_t item : world.HistoryOf(user)) seen[static_cast<size_t>(item)] = true;

    const std::vector<int64_t> all = world.BestItems(user, seen, 1000);
    const std::vector<int64_t> top = world.BestItems(user, seen, 20);

    EXPECT_EQ(all.size(), 97 - world.HistoryOf(user).size());
    EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), all.size());
    EXPECT_TRUE(std::equal(top.begin(), top.end(), all.begin()));
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_FALSE(seen[static_cast<size_t>(all[i])]);
      if (i == 0) continue;
      const double before = world.Probability(user, all[i - 1]);
      const double after = world.Probability(user, all[i]);
      EXPECT_TRUE(before > after || (before == after && all[i - 1] < all[i]));
    }
  }
}

TEST(SyntheticWorldTest, ProbabilitiesAddUpToOneAndDescribeThePicks) {
  const SyntheticWorld world({.users = 400, .items = 300, .interactions_per_user = 10});
  double expected = 0;
  int64_t first_picks_in_taste = 0;
  for (int64_t user = 0; user < world.users(); ++user) {
    double sum = 0;
    for (int64_t item = 0; item < world.items(); ++item) sum += world.Probability(user, item);
    EXPECT_NEAR(sum, 1, 1e-9);
    const int64_t taste = world.TasteOf(user).cluster[0];
    expected += world.TasteOf(user).ShareOf(taste);
    first_picks_in_taste += world.ClusterOf(world.HistoryOf(user)[0]) == taste ? 1 : 0;
  }
  // Standard deviation of the count: below 9.
  EXPECT_NEAR(static_cast<double>(first_picks_in_taste), expected, 35);
}

TEST(SyntheticTest, NamesWhatIsWrongWithTheOptions) {
  const auto message = [](const SyntheticOptions& options) {
    const auto truth = WriteSyntheticData(LocalFiles(), Folder("bad"), options);
    EXPECT_EQ(ExitCodeOf(truth.status()), ExitCode::kConfig);
    return truth.status().ToString();
  };

  EXPECT_NE(message({.users = 0}).find("users is 0"), std::string::npos);
  EXPECT_NE(message({.items = 9}).find("items is 9"), std::string::npos);
  EXPECT_NE(message({.items = 20, .clusters = 21}).find("clusters is 21"), std::string::npos);
  EXPECT_NE(message({.interactions_per_user = 4}).find("interactions_per_user is 4"),
            std::string::npos);
}

TEST(SyntheticTest, WorksAtTheSmallestSizes) {
  const auto truth =
      WriteSyntheticData(LocalFiles(), Folder("tiny"),
                         {.users = 1, .items = 10, .interactions_per_user = 5, .clusters = 10});

  ASSERT_TRUE(truth.ok()) << truth.status();
  EXPECT_EQ(ReadHistories(Folder("tiny"), 1)[0].size(), 5u);
}

TEST(SyntheticTest, EveryWriteFailureIsReportedAndLeavesNoPartialFile) {
  const SyntheticOptions options = {
      .users = 5, .items = 10, .interactions_per_user = 5, .clusters = 2};
  const auto counting = FaultFileSystem::Create(LocalFiles(), FileFault::kNone, 0);
  ASSERT_TRUE(WriteSyntheticData(*counting, Folder("count"), options).ok());
  for (int64_t at = 0; at < counting->calls(); ++at) {
    const std::string folder = Folder(absl::StrCat("fault", at));
    ASSERT_TRUE(LocalFiles().RemoveAll(folder).ok());
    const auto faulty = FaultFileSystem::Create(LocalFiles(), FileFault::kDiskFull, at);

    const auto truth = WriteSyntheticData(*faulty, folder, options);

    ASSERT_FALSE(truth.ok()) << "call " << at;
    EXPECT_EQ(ExitCodeOf(truth.status()), ExitCode::kIo) << truth.status();
    if (const auto names = LocalFiles().List(folder); names.ok()) {
      for (const std::string& name : *names) EXPECT_FALSE(name.ends_with(".partial")) << name;
    }
  }
}

}  // namespace
}  // namespace torii::data
