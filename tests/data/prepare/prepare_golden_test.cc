// Known data sets, prepared: counts and digests that were computed elsewhere. Data that is not on
// this machine is skipped with a message. MovieLens-100K is looked for in $TORII_MOVIELENS, with
// the names of the wheel it comes in, else where tools/quickstart.sh puts it.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/digest.h"
#include "base/file_system.h"
#include "data/dataset.h"
#include "data/prepare/prepare.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace torii::data {
namespace {

std::string Shared(const std::string& name) {
  return absl::StrCat(TORII_SOURCE_DIR, "/../shared/data/", name);
}

bool Exists(const std::string& path) {
  const auto info = LocalFiles().Info(path);
  return info.ok() && info->exists;
}

// `text`: the DataConfig but prepared_dir; "$D" stands for `folder`.
std::unique_ptr<Dataset> PrepareAndOpen(const std::string& name, const std::string& folder,
                                        std::string text) {
  for (size_t at; (at = text.find("$D")) != std::string::npos;) {
    text.replace(at, 2, folder);
  }
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  config.set_prepared_dir(absl::StrCat(::testing::TempDir(), "/golden_", name));
  const auto prepared = Prepare(LocalFiles(), config, {.force = true, .verbose = false});
  EXPECT_TRUE(prepared.ok()) << prepared.status();
  auto dataset = Dataset::Open(LocalFiles(), config.prepared_dir());
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return dataset.ok() ? *std::move(dataset) : nullptr;
}

using Pair = std::pair<int64_t, int64_t>;

std::vector<Pair> PairsOf(const Dataset& dataset, const Interactions& part) {
  std::vector<Pair> pairs;
  for (int64_t i = 0; i < part.size(); ++i) {
    const size_t row = static_cast<size_t>(i);
    pairs.emplace_back(dataset.users().IntegerId(part.user[row]),
                       dataset.items().IntegerId(part.item[row]));
  }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

struct MovieLensCase {
  const char* split;
  int64_t train;
  int64_t test;
  int64_t sum_of_test_movies;
  int64_t test_only_pairs;
  // XXH3 of the lines "user movie", sorted; their sha256 was compared with the published one.
  const char* digest_of_test_pairs;
};

struct MovieLensFiles {
  std::string interactions, users, items;
};

MovieLensFiles FindMovieLens() {
  const char* const folder = std::getenv("TORII_MOVIELENS");
  if (folder == nullptr) {
    const std::string raw = absl::StrCat(TORII_SOURCE_DIR, "/quickstart/movielens-100k/raw/");
    return {raw + "interactions.parquet", raw + "users.parquet", raw + "items.parquet"};
  }
  const std::string raw = absl::StrCat(folder, "/MovieLens100k_");
  return {raw + "data.parquet.brotli", raw + "users.parquet.brotli", raw + "items.parquet.brotli"};
}

class MovieLensTest : public ::testing::TestWithParam<MovieLensCase> {};

TEST_P(MovieLensTest, GivesTheKnownSplit) {
  const MovieLensFiles files = FindMovieLens();
  if (!Exists(files.interactions)) {
    GTEST_SKIP() << files.interactions << " is not on this machine";
  }
  const MovieLensCase& expected = GetParam();

  const auto dataset = PrepareAndOpen("movielens", "",
                                      absl::StrReplaceAll(R"(
      interactions { path: "$INTERACTIONS" item: "movie_id" time: "timestamp" }
      users { path: "$USERS" id: "user_id"
        feature { column: "age" numeric { transform: QUANTILE } }
        feature { column: "gender" categorical {} }
        feature { column: "occupation" categorical {} } }
      items { path: "$ITEMS" id: "movie_id" title: "movie_title"
        feature { column: "movie_title" text {} } }
      split { $SPLIT })",
                                                          {{"$INTERACTIONS", files.interactions},
                                                           {"$USERS", files.users},
                                                           {"$ITEMS", files.items},
                                                           {"$SPLIT", expected.split}}));

  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->users().rows(), 943);
  EXPECT_EQ(dataset->items().rows(), 1682);
  EXPECT_EQ(dataset->train().size(), expected.train);
  EXPECT_EQ(dataset->test().size(), expected.test);
  int64_t sum = 0;
  int64_t test_only_pairs = 0;
  std::string lines;
  for (const auto& [user, movie] : PairsOf(*dataset, dataset->test())) {
    sum += movie;
    absl::StrAppend(&lines, user, " ", movie, "\n");
    const auto row = dataset->items().FindRow(std::to_string(movie));
    ASSERT_TRUE(row.has_value());
    test_only_pairs += dataset->item_counts()[static_cast<size_t>(*row)] == 0 ? 1 : 0;
  }
  EXPECT_EQ(sum, expected.sum_of_test_movies);
  EXPECT_EQ(test_only_pairs, expected.test_only_pairs);
  EXPECT_EQ(dataset->items().Title(*dataset->items().FindRow("50")), "Star Wars (1977)");
  EXPECT_EQ(DigestOf(lines), expected.digest_of_test_pairs);
}

INSTANTIATE_TEST_SUITE_P(Splits, MovieLensTest,
                         ::testing::Values(MovieLensCase{"last_fraction: 0.1", 90404, 9596, 4837876,
                                                         37, "6c82df5f97f1e064b6648d8db619774b"},
                                           MovieLensCase{"last_k: 1", 99057, 943, 452037, 3,
                                                         "d9ddb2dff95d88600801766da6c1c1bc"}));

TEST(PrepareGoldenTest, AmazonHealthParquetAndTsvGiveTheSameRows) {
  const std::string folder = Shared("amazon-health");
  if (!Exists(folder)) {
    GTEST_SKIP() << folder << " is not on this machine";
  }

  const auto parquet = PrepareAndOpen("health_parquet", folder, R"(
      interactions { path: "$D/train.parquet" } test_path: "$D/test.parquet"
      users { path: "$D/users.parquet" title: "user_orgid" }
      items { path: "$D/items.parquet" title: "item_orgid" })");
  const auto tsv = PrepareAndOpen("health_tsv", folder, R"(
      interactions { path: "$D/raw/train.tsv" user: "user_procid" item: "item_procid" }
      test_path: "$D/raw/test.tsv"
      users { path: "$D/raw/user_list.tsv" title: "user_orgid" }
      items { path: "$D/raw/item_list.tsv" title: "item_orgid" })");

  ASSERT_NE(parquet, nullptr);
  ASSERT_NE(tsv, nullptr);
  EXPECT_EQ(parquet->users().rows(), 1974);
  EXPECT_EQ(parquet->items().rows(), 1200);
  EXPECT_EQ(parquet->train().size(), 37784);
  EXPECT_EQ(parquet->test().size(), 10405);
  EXPECT_EQ(parquet->digest(), tsv->digest());
  EXPECT_EQ(parquet->items().Title(*parquet->items().FindRow("1")), "B00004OCLJ");
  EXPECT_TRUE(std::is_sorted(parquet->item_counts().rbegin(), parquet->item_counts().rend()));
}

TEST(PrepareGoldenTest, BeautySequencesKeepTheirOrderAndListFeatures) {
  const std::string folder = Shared("amazon-beauty-sequences");
  if (!Exists(folder)) {
    GTEST_SKIP() << folder << " is not on this machine";
  }

  const auto dataset = PrepareAndOpen("beauty", folder, R"(
      interactions { path: "$D/train.parquet" time: "order" }
      test_path: "$D/test.parquet" valid_path: "$D/valid.parquet"
      items { path: "$D/items.parquet" feature { column: "attributes" categorical {} } })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->users().rows(), 22363);
  EXPECT_EQ(dataset->items().rows(), 12101);
  EXPECT_EQ(dataset->train().size(), 153776);
  EXPECT_EQ(dataset->valid().size(), 22363);
  EXPECT_EQ(dataset->test().size(), 22363);
  EXPECT_EQ(dataset->meta().items().cold_rows(), 33);
  EXPECT_EQ(dataset->meta().items().feature(0).rows(), 638);
  for (int64_t user = 0; user < dataset->users().rows(); ++user) {
    const size_t begin =
        static_cast<size_t>(dataset->train().user_begin[static_cast<size_t>(user)]);
    const size_t n = dataset->train().ItemsOf(user).size();
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(dataset->train().time[begin + i], static_cast<int64_t>(i));
    }
  }
}

TEST(PrepareGoldenTest, BookCrossingReadsTextFeaturesAndMissingRatings) {
  const std::string folder = Shared("book-crossing");
  if (!Exists(folder)) {
    GTEST_SKIP() << folder << " is not on this machine";
  }

  const auto dataset = PrepareAndOpen("books", folder, R"(
      interactions { path: "$D/train.parquet" rating: "rating" rating_as_weight: true }
      test_path: "$D/test.parquet"
      users { path: "$D/users.parquet" feature { column: "age" numeric { transform: BUCKETS } }
              feature { column: "location" text { ngram: 0 } } }
      items { path: "$D/items.parquet" title: "title" feature { column: "title" text {} }
              feature { column: "author" categorical { min_count: 2 } }
              feature { column: "year" numeric {} } })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->users().rows(), 2946);
  EXPECT_EQ(dataset->items().rows(), 17384);
  EXPECT_EQ(dataset->train().size(), 246621);
  EXPECT_EQ(dataset->test().size(), 26057);
  EXPECT_EQ(dataset->meta().items().cold_rows(), 17);
  EXPECT_EQ(dataset->meta().items().feature(2).missing(), 270);
}

TEST(PrepareGoldenTest, OpenBanditTimestampsAndCsvTimesAgree) {
  const std::string folder = Shared("open-bandit");
  if (!Exists(folder)) {
    GTEST_SKIP() << folder << " is not on this machine";
  }

  // No user ids there: the position stands in for them.
  const auto parquet = PrepareAndOpen("bandit_parquet", folder, R"(
      interactions { path: "$D/bts/men/log.parquet" user: "position" time: "timestamp"
                     rating: "click" min_rating: 1 }
      split { time_fraction: 0.2 })");
  const auto csv = PrepareAndOpen("bandit_csv", folder, R"(
      interactions { path: "$D/raw/bts_men.csv" user: "position" time: "timestamp"
                     rating: "click" min_rating: 1 }
      split { time_fraction: 0.2 })");

  ASSERT_NE(parquet, nullptr);
  ASSERT_NE(csv, nullptr);
  EXPECT_EQ(parquet->meta().read_rows(), 10000);
  EXPECT_EQ(parquet->meta().dropped_by_rating(), 10000 - 69);
  EXPECT_EQ(parquet->test().size(), 13);
  EXPECT_EQ(parquet->digest(), csv->digest());
}

}  // namespace
}  // namespace torii::data
