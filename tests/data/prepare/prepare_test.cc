#include "data/prepare/prepare.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "data/prepared_layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using testing::IdsOf;
using testing::Int64s;
using ::testing::IsEmpty;
using testing::Lines;
using testing::RawFolder;

constexpr char kPlain[] = R"(interactions { path: "$D/x.csv" time: "time" } )";

// User 1 has five rows, two of them at the same time; user 2 has two, user 3 one.
constexpr char kSmall[] =
    "user_id,item_id,time\n"
    "2,20,7\n"
    "1,10,5\n"
    "1,30,9\n"
    "1,20,3\n"
    "3,10,1\n"
    "1,40,5\n"
    "2,10,6\n"
    "1,50,5\n";

TEST(PrepareTest, OrdersRowsByTrainingCountThenIdAndInteractionsByTime) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  const auto dataset = raw.PrepareAndOpen(kPlain);

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(dataset->users()), ElementsAre("1", "2", "3"));
  EXPECT_THAT(IdsOf(dataset->items()), ElementsAre("10", "20", "30", "40", "50"));
  EXPECT_THAT(dataset->item_counts(), ElementsAre(3, 2, 1, 1, 1));
  // Rows at time 5 keep the order of the file: 10, 40, 50.
  EXPECT_THAT(Lines(*dataset, dataset->train()),
              ElementsAre("1: 20 10 40 50 30", "2: 10 20", "3: 10"));
  EXPECT_THAT(dataset->train().time, ElementsAre(3, 5, 5, 5, 9, 6, 7, 1));
  EXPECT_THAT(dataset->train().user_begin, ElementsAre(0, 5, 7, 8));
  EXPECT_THAT(dataset->train().weight, IsEmpty());
  EXPECT_EQ(dataset->valid().size(), 0);
  EXPECT_EQ(dataset->test().size(), 0);
  EXPECT_FALSE(dataset->meta().has_weight());
}

TEST(PrepareTest, WithoutTimeTheOrderOfTheRowsIsTheOrderInTime) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  const auto dataset = raw.PrepareAndOpen(R"(interactions { path: "$D/x.csv" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()),
              ElementsAre("1: 10 30 20 40 50", "2: 20 10", "3: 10"));
  EXPECT_THAT(dataset->train().time, IsEmpty());
}

TEST(PrepareTest, IdsOfTextAreOrderedByBytes) {
  const RawFolder raw;
  raw.Write("x.tsv", "user_id\titem_id\nb\tz\nB\t\xc3\xa4\na\ty\n");

  const auto dataset = raw.PrepareAndOpen(R"(interactions { path: "$D/x.tsv" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(dataset->users()), ElementsAre("B", "a", "b"));
  EXPECT_THAT(IdsOf(dataset->items()), ElementsAre("y", "z", "\xc3\xa4"));
  EXPECT_FALSE(dataset->users().has_integer_ids());
  EXPECT_EQ(dataset->items().FindRow("z"), 1);
  EXPECT_EQ(dataset->items().FindRow("zz"), std::nullopt);
}

TEST(PrepareTest, AValidationPartIsCutBesideTestFiles) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);
  raw.Write("t.csv", "user_id,item_id,time\n1,10,20\n");
  const std::string test = R"(test_path: "$D/t.csv" )";

  const auto last =
      raw.PrepareAndOpen(absl::StrCat(kPlain, test, "split { last_k: 1 valid: true }"));
  ASSERT_NE(last, nullptr);
  EXPECT_THAT(Lines(*last, last->train()), ElementsAre("1: 20 10 40 50", "2: 10", "3: 10"));
  EXPECT_THAT(Lines(*last, last->valid()), ElementsAre("1: 30", "2: 20"));
  EXPECT_THAT(Lines(*last, last->test()), ElementsAre("1: 10"));

  const auto from =
      raw.PrepareAndOpen(absl::StrCat(kPlain, test, "split { time_from: '7' valid: true }"));
  ASSERT_NE(from, nullptr);
  EXPECT_THAT(Lines(*from, from->valid()), ElementsAre("1: 30", "2: 20"));
  EXPECT_THAT(Lines(*from, from->test()), ElementsAre("1: 10"));
}

TEST(PrepareTest, AWholeDatasetIsEnoughWhereTheRawFilesAreNot) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);
  ASSERT_TRUE(raw.Prepare(kPlain).ok());
  ASSERT_TRUE(LocalFiles().RemoveAll(raw.File("x.csv")).ok());

  const auto again = raw.Prepare(absl::StrCat(kPlain, "sort_buffer_rows: 7"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->reused);
  EXPECT_EQ(again->dataset.train_rows(), 8);

  // Another configuration, and a damaged dataset, need the raw files.
  EXPECT_FALSE(raw.Prepare(absl::StrCat(kPlain, "split { last_k: 1 }")).ok());
  raw.Write("prepared/train.item.i32", "damaged");
  const auto damaged = raw.Prepare(kPlain);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(ExitCodeOf(damaged.status()), ExitCode::kNoInput);
}

TEST(PrepareTest, SplitsTheLastKOfEachUser) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  const auto dataset = raw.PrepareAndOpen(absl::StrCat(kPlain, "split { last_k: 1 valid: true }"));

  ASSERT_NE(dataset, nullptr);
  // User 2 has one row left after the test row, which stays in training; user 3 has only one.
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 20 10 40", "2: 10", "3: 10"));
  EXPECT_THAT(Lines(*dataset, dataset->valid()), ElementsAre("1: 50"));
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 30", "2: 20"));
}

TEST(PrepareTest, SplitsTheLastFractionOfEachUserButAtLeastOne) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  const auto dataset =
      raw.PrepareAndOpen(absl::StrCat(kPlain, "split { last_fraction: 0.4 valid: true }"));

  ASSERT_NE(dataset, nullptr);
  // User 1: test floor(0.4 * 5) = 2, then valid floor(0.4 * 3) = 1. User 2: test 1 of 2.
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 20 10", "2: 10", "3: 10"));
  EXPECT_THAT(Lines(*dataset, dataset->valid()), ElementsAre("1: 40"));
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 50 30", "2: 20"));
}

TEST(PrepareTest, SplitsAllUsersAtOneMomentAndKeepsTiesTogether) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  // Sorted times: 1 3 5 5 5 6 7 9. The last half starts inside the run of fives: all of it is test.
  const auto dataset = raw.PrepareAndOpen(absl::StrCat(kPlain, "split { time_fraction: 0.5 }"));

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 20", "3: 10"));
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 10 40 50 30", "2: 10 20"));
  EXPECT_EQ(dataset->meta().users().cold_rows(), 1);

  const auto from = raw.PrepareAndOpen(absl::StrCat(kPlain, "split { time_from: '7' }"));
  ASSERT_NE(from, nullptr);
  EXPECT_THAT(Lines(*from, from->test()), ElementsAre("1: 30", "2: 20"));
}

TEST(PrepareTest, SplitsTheValidationPartByTimeBeforeTheTestPart) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  const auto dataset =
      raw.PrepareAndOpen(absl::StrCat(kPlain, "split { time_fraction: 0.25 valid: true }"));

  ASSERT_NE(dataset, nullptr);
  // Test: 7 and 9. Of the six others a quarter is one: time 6.
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 30", "2: 20"));
  EXPECT_THAT(Lines(*dataset, dataset->valid()), ElementsAre("2: 10"));
  EXPECT_EQ(dataset->train().size(), 5);
}

TEST(PrepareTest, SplitsARandomFractionOfEachUserByTheSeed) {
  const RawFolder raw;
  std::string text = "user_id,item_id\n";
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&text, i % 3, ",", i / 3, "\n");
  }
  raw.Write("x.csv", text);
  const auto split = [&](int seed) {
    return raw.PrepareAndOpen(absl::StrCat(
        R"(interactions { path: "$D/x.csv" } split { random_fraction: 0.29 } seed: )", seed));
  };

  const auto one = split(1);
  const auto again = split(1);
  const auto two = split(2);

  ASSERT_NE(one, nullptr);
  for (int64_t user = 0; user < 3; ++user) {
    EXPECT_EQ(one->test().ItemsOf(user).size(), 29);
    EXPECT_EQ(one->train().ItemsOf(user).size(), 71);
  }
  EXPECT_EQ(one->digest(), again->digest());
  EXPECT_NE(one->digest(), two->digest());
  // Not the same places for every user.
  EXPECT_NE(Lines(*one, one->test())[0].substr(2), Lines(*one, one->test())[1].substr(2));
}

TEST(PrepareTest, TakesHeldOutPartsFromTheirOwnFiles) {
  const RawFolder raw;
  raw.Write("train.csv", "user_id,item_id\n1,10\n1,20\n2,10\n");
  raw.Write("valid.csv", "user_id,item_id\n2,20\n");
  raw.Write("test.csv", "user_id,item_id\n1,10\n3,30\n");

  const auto dataset = raw.PrepareAndOpen(R"(
      interactions { path: "$D/train.csv" } valid_path: "$D/valid.csv" test_path: "$D/test.csv")");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10 20", "2: 10"));
  EXPECT_THAT(Lines(*dataset, dataset->valid()), ElementsAre("2: 20"));
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 10", "3: 30"));
  EXPECT_EQ(dataset->meta().users().cold_rows(), 1);
  EXPECT_EQ(dataset->meta().items().cold_rows(), 1);
  EXPECT_THAT(dataset->item_counts(), ElementsAre(2, 1, 0));
}

TEST(PrepareTest, DropsRareUsersAndItemsUntilAllRemainingHaveEnough) {
  const RawFolder raw;
  // Item 30 has one row; without it user 3 has one; without user 3 item 20 has two left.
  raw.Write("x.csv", "user_id,item_id\n1,10\n1,20\n2,10\n2,20\n3,20\n3,30\n4,40\n4,40\n");
  raw.Write("items.csv", "item_id\n10\n20\n30\n40\n99\n");

  const auto dataset = raw.PrepareAndOpen(R"(
      interactions { path: "$D/x.csv" } items { path: "$D/items.csv" }
      filters { min_user_interactions: 2 min_item_interactions: 2 })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(dataset->users()), ElementsAre("1", "2", "4"));
  EXPECT_THAT(IdsOf(dataset->items()), ElementsAre("10", "20", "40"));
  EXPECT_EQ(dataset->meta().dropped_by_filters(), 2);
  EXPECT_EQ(dataset->train().size(), 6);
}

TEST(PrepareTest, DropsLowAndMissingRatingsAndUsesRatingsAsWeights) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,stars\n1,10,5\n1,20,2\n1,30,\n2,10,4\n3,40,1\n");

  const auto dataset = raw.PrepareAndOpen(R"(
      interactions { path: "$D/x.csv" rating: "stars" min_rating: 3 rating_as_weight: true })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10", "2: 10"));
  EXPECT_THAT(dataset->train().weight, ElementsAre(5.0F, 4.0F));
  EXPECT_EQ(dataset->meta().read_rows(), 5);
  EXPECT_EQ(dataset->meta().dropped_by_rating(), 3);
  EXPECT_EQ(dataset->users().rows(), 2);
}

TEST(PrepareTest, MissingWeightIsOne) {
  const RawFolder raw;
  raw.WriteParquet("x.parquet", {{"user_id", Int64s({1, 1, 2})},
                                 {"item_id", Int64s({5, 6, 5})},
                                 {"w", testing::Doubles({0.5, std::nullopt, 0})}});

  const auto dataset = raw.PrepareAndOpen(R"(interactions { path: "$D/x.parquet" weight: "w" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->train().weight, ElementsAre(0.5F, 1.0F, 0.0F));
}

TEST(PrepareTest, ColdUsersAndItemsOfSideFilesComeLast) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n7,30\n");
  raw.Write("users.csv", "user_id\n3\n7\n1\n");
  raw.Write("items.csv", "item_id,name\n20,\n30,Thirty\n10,\"Ten, or \"\"X\"\"\"\n");

  const auto dataset = raw.PrepareAndOpen(R"(
      interactions { path: "$D/x.csv" } users { path: "$D/users.csv" }
      items { path: "$D/items.csv" title: "name" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(dataset->users()), ElementsAre("7", "1", "3"));
  EXPECT_THAT(IdsOf(dataset->items()), ElementsAre("30", "10", "20"));
  EXPECT_EQ(dataset->meta().items().cold_rows(), 2);
  EXPECT_EQ(dataset->items().Title(0), "Thirty");
  EXPECT_EQ(dataset->items().Title(1), "Ten, or \"X\"");
  EXPECT_EQ(dataset->items().Title(2), "20");
}

TEST(PrepareTest, FloatingPointTimesKeepTheirOrder) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,time\n1,1,2.75\n1,2,-0.5\n1,3,2.25\n1,4,-3\n");

  const auto dataset = raw.PrepareAndOpen(kPlain);

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 4 2 3 1"));
  EXPECT_THAT(dataset->train().time, ElementsAre(-3, -1, 2, 2));
}

// The result must not depend on how many rows fit into memory.
TEST(PrepareTest, RunsSmallerThanTheDataGiveTheSameDataset) {
  const RawFolder raw;
  std::mt19937 random(5);
  std::string text = "user_id,item_id,time,w\n";
  for (int i = 0; i < 1009; ++i) {
    absl::StrAppend(&text, random() % 37, ",", random() % 101, ",", random() % 50, ",",
                    random() % 7, "\n");
  }
  raw.Write("x.csv", text);
  for (const char* rule :
       {"last_k: 3", "last_fraction: 0.3", "time_fraction: 0.2", "random_fraction: 0.25"}) {
    const auto prepare = [&](int64_t buffer) {
      return raw.PrepareAndOpen(absl::StrCat(
          R"(interactions { path: "$D/x.csv" time: "time" weight: "w" }
             filters { min_item_interactions: 6 } sort_buffer_rows: )",
          buffer, " split { valid: true ", rule, " }"));
    };
    const auto whole = prepare(1'000'000);
    ASSERT_NE(whole, nullptr);
    EXPECT_GT(whole->meta().dropped_by_filters(), 0);
    for (const int64_t buffer : {1, 7, 500, 1008, 1009}) {
      const auto runs = prepare(buffer);
      ASSERT_NE(runs, nullptr);
      EXPECT_EQ(runs->digest(), whole->digest()) << rule << ", buffer of " << buffer;
    }
  }
}

TEST(PrepareTest, ReusesTheDatasetUntilSomethingChanges) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  const auto first = raw.Prepare(kPlain);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->reused);
  // How it is sorted changes nothing.
  const auto second = raw.Prepare(absl::StrCat(kPlain, "sort_buffer_rows: 7"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->reused);
  EXPECT_EQ(second->folder, first->folder);

  raw.Write("x.csv", std::string(kSmall) + "9,10,1\n");
  const auto more_rows = raw.Prepare(kPlain);
  ASSERT_TRUE(more_rows.ok()) << more_rows.status();
  EXPECT_FALSE(more_rows->reused);
  EXPECT_EQ(more_rows->dataset.read_rows(), 9);
  EXPECT_EQ(more_rows->folder, first->folder);
}

TEST(PrepareTest, PreparesAgainWhenAFileIsDamaged) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);
  ASSERT_TRUE(raw.Prepare(kPlain).ok());
  const std::string array = JoinPath(raw.prepared(), "train.item.i32");
  const auto good = ReadFile(LocalFiles(), array);
  ASSERT_TRUE(good.ok());
  std::string bad = *good;
  bad.back() ^= 1;
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), array, bad).ok());

  const auto again = raw.Prepare(kPlain);

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->reused);
  EXPECT_EQ(*ReadFile(LocalFiles(), array), *good);
}

TEST(PrepareTest, LeavesNothingButTheDatasetInTheFolder) {
  const RawFolder raw;
  raw.Write("x.csv", kSmall);

  const auto result = raw.Prepare(absl::StrCat(kPlain, "sort_buffer_rows: 2"));

  ASSERT_TRUE(result.ok()) << result.status();
  std::vector<std::string> expected = {kPreparedMetaName};
  for (const PreparedFile& file : result->dataset.file()) {
    expected.push_back(file.name());
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(*LocalFiles().List(raw.prepared()), expected);
  EXPECT_THAT(*LocalFiles().List(raw.path()), ElementsAre("prepared", "x.csv"));
}

}  // namespace
}  // namespace torii::data
