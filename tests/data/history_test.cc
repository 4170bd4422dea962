#include "data/history.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using testing::RawFolder;

// The ids of the last items of user `id`.
std::vector<std::string> Last(const Dataset& dataset, const std::string& id, HistoryUpTo up_to,
                              int64_t length = 100) {
  const std::vector<int64_t> users = {dataset.users().FindRow(id).value()};
  std::vector<std::string> items;
  for (const int64_t item : LastItems(dataset, users, length, up_to).values) {
    items.push_back(dataset.items().Id(item));
  }
  return items;
}

// Validation and test rows lie between training rows, as a random split or files may have it.
constexpr char kTrain[] = "user_id,item_id,t\n1,10,10\n1,30,30\n1,50,50\n1,70,70\n2,10,1\n";
constexpr char kValid[] = "user_id,item_id,t\n1,20,20\n1,60,60\n";
constexpr char kTest[] = "user_id,item_id,t\n1,40,40\n1,80,80\n";
constexpr char kConfig[] = R"(interactions { path: "$D/train.csv" time: "t" }
                              valid_path: "$D/valid.csv" test_path: "$D/test.csv")";

TEST(LastItemsTest, EvaluationSeesOnlyWhatCameBeforeTheTarget) {
  const RawFolder raw;
  raw.Write("train.csv", kTrain);
  raw.Write("valid.csv", kValid);
  raw.Write("test.csv", kTest);

  const auto dataset = raw.PrepareAndOpen(kConfig);

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Last(*dataset, "1", HistoryUpTo::kValidation), ElementsAre("10"));
  EXPECT_THAT(Last(*dataset, "1", HistoryUpTo::kTest), ElementsAre("10", "20", "30"));
  EXPECT_THAT(Last(*dataset, "1", HistoryUpTo::kTraining), ElementsAre("10", "30", "50", "70"));
  EXPECT_THAT(Last(*dataset, "1", HistoryUpTo::kAll),
              ElementsAre("10", "20", "30", "40", "50", "60", "70", "80"));
  EXPECT_THAT(Last(*dataset, "1", HistoryUpTo::kAll, 3), ElementsAre("60", "70", "80"));
  // A user without a target has no limit.
  EXPECT_THAT(Last(*dataset, "2", HistoryUpTo::kValidation), ElementsAre("10"));
  EXPECT_THAT(Last(*dataset, "2", HistoryUpTo::kTest), ElementsAre("10"));
}

TEST(LastItemsTest, RowsOfOneMomentKeepTheOrderOfTheFiles) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,t\n1,10,5\n1,20,5\n1,30,5\n");

  const auto dataset =
      raw.PrepareAndOpen(R"(interactions { path: "$D/x.csv" time: "t" } split { last_k: 1 })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Last(*dataset, "1", HistoryUpTo::kTest), ElementsAre("10", "20"));
}

// Every history of every kind, against one that is cut from the whole log.
TEST(LastItemsTest, ARandomSplitGivesTheHistoriesOfTheWholeLog) {
  const RawFolder raw;
  std::string text = "user_id,item_id,t\n";
  for (int64_t i = 0; i < 200; ++i) {
    absl::StrAppend(&text, i % 7, ",", i, ",", i, "\n");  // the item is the time
  }
  raw.Write("x.csv", text);
  const auto dataset = raw.PrepareAndOpen(
      R"(interactions { path: "$D/x.csv" time: "t" } split { random_fraction: 0.3 valid: true })");
  ASSERT_NE(dataset, nullptr);

  const auto earliest = [](const Interactions& part, int64_t user) {
    return part.ItemsOf(user).empty()
               ? int64_t{1000}
               : part.time[static_cast<size_t>(part.user_begin[static_cast<size_t>(user)])];
  };
  for (int64_t user = 0; user < dataset->users().rows(); ++user) {
    const int64_t id = dataset->users().IntegerId(user);
    const auto is_test = [&](int64_t time) {
      const std::span<const int64_t> times = dataset->test().time;
      return std::find(times.begin(), times.end(), time) != times.end();
    };
    const auto is_valid = [&](int64_t time) {
      const std::span<const int64_t> times = dataset->valid().time;
      return std::find(times.begin(), times.end(), time) != times.end();
    };
    std::vector<std::string> before_test;
    std::vector<std::string> before_valid;
    std::vector<std::string> all;
    for (int64_t i = id; i < 200; i += 7) {
      all.push_back(std::to_string(i));
      if (i < earliest(dataset->test(), user) && !is_test(i)) before_test.push_back(all.back());
      if (i < earliest(dataset->valid(), user) && !is_test(i) && !is_valid(i)) {
        before_valid.push_back(all.back());
      }
    }
    const std::string name = std::to_string(id);
    EXPECT_EQ(Last(*dataset, name, HistoryUpTo::kAll), all);
    EXPECT_EQ(Last(*dataset, name, HistoryUpTo::kTest), before_test);
    EXPECT_EQ(Last(*dataset, name, HistoryUpTo::kValidation), before_valid);
  }
}

TEST(LastItemsTest, WithoutKnownOrderThePartsFollowOneAnother) {
  const testing::FakeDataset dataset({.valid_per_user = 2});
  std::vector<int64_t> users(50);
  std::iota(users.rbegin(), users.rend(), 0);
  users.push_back(7);  // unsorted, repeated
  for (const int64_t length : {0, 1, 3, 100}) {
    const Bags bags = LastItems(dataset, users, length, HistoryUpTo::kTest);

    ASSERT_EQ(bags.offsets.size(), users.size() + 1);
    for (size_t i = 0; i < users.size(); ++i) {
      std::vector<int64_t> all;
      for (const int32_t item : dataset.train().ItemsOf(users[i])) all.push_back(item);
      for (const int32_t item : dataset.valid().ItemsOf(users[i])) all.push_back(item);
      const size_t drop = all.size() - std::min(all.size(), static_cast<size_t>(length));
      all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(drop));
      const std::vector<int64_t> got(bags.values.begin() + bags.offsets[i],
                                     bags.values.begin() + bags.offsets[i + 1]);
      ASSERT_EQ(got, all) << "user " << users[i] << " length " << length;
    }
  }
}

TEST(LastItemsTest, GivesNoListsForNoUsers) {
  const testing::FakeDataset dataset({});

  const Bags bags = LastItems(dataset, {}, 5, HistoryUpTo::kAll);

  EXPECT_EQ(bags.offsets, std::vector<int64_t>{0});
  EXPECT_TRUE(bags.values.empty());
}

}  // namespace
}  // namespace torii::data
