// Rows that are skipped: without an id, or because a value cannot be used.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/exit_code.h"
#include "data/prepared_layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/data/prepare/prepare_errors.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using testing::Doubles;
using ::testing::ElementsAre;
using testing::Int64s;
using testing::Lines;
using testing::RawFolder;
using testing::Strings;

// The row numbers, or what else, of rejected.jsonl.
std::vector<nlohmann::json> Rejected(const RawFolder& raw) {
  std::vector<nlohmann::json> rows;
  const auto text = ReadFile(LocalFiles(), JoinPath(raw.prepared(), kRejectedName));
  EXPECT_TRUE(text.ok()) << text.status();
  for (const auto line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    rows.push_back(nlohmann::json::parse(std::string(line)));
  }
  return rows;
}
std::vector<int64_t> RejectedNumbers(const RawFolder& raw) {
  std::vector<int64_t> numbers;
  for (const nlohmann::json& row : Rejected(raw)) numbers.push_back(row["row"].get<int64_t>());
  return numbers;
}

TEST(MissingIdTest, IsSkippedAndCounted) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,10\n,10\n2,\n2, \n,\n2,11\n");
  const std::string config = R"(interactions { path: "$D/x.csv" on_missing_id: )";

  ExpectError(raw, config + "REFUSE }", ExitCode::kData,
              {"x.csv:3: column \"user_id\": the id is missing", "on_missing_id: SKIP"});
  const auto dataset = raw.PrepareAndOpen(config + "SKIP }");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10", "2: 11"));
  EXPECT_EQ(dataset->meta().read_rows(), 6);
  EXPECT_EQ(dataset->meta().dropped_without_id(), 4);
}

TEST(MissingIdTest, IsNullNaNOrNothingInParquet) {
  const RawFolder raw;
  raw.WriteParquet("x.parquet", {{"user_id", Doubles({1, std::nan(""), std::nullopt, 4})},
                                 {"item_id", Strings({"a", "b", "c", std::nullopt})}});
  raw.WriteParquet("y.parquet",
                   {{"user_id", Int64s({1, std::nullopt})}, {"item_id", Strings({"d", "e"})}});

  const auto dataset =
      raw.PrepareAndOpen(R"(interactions { path: "$D/*.parquet" on_missing_id: SKIP })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: a d"));
  EXPECT_EQ(dataset->meta().dropped_without_id(), 4);
}

// Each bad row is bad in another way; users and items that only they have are not there.
TEST(RejectedRowsTest, EveryBadRowIsListedAndTheOthersAreRead) {
  const RawFolder raw;
  raw.Write("x.csv",
            "user_id,item_id,t,w,e,r\n"
            "1,10,2024-01-01,1,buy,5\n"
            "x1,10,2024-01-01,1,buy,5\n"    // 3: no integer among integers
            "2,,2024-01-01,1,buy,5\n"       // 4: no id
            "3,10,yesterday,1,buy,5\n"      // 5: no time
            "4,10,2024-01-01,-1,buy,5\n"    // 6: no weight
            "5,10,2024-01-01,1,buy,high\n"  // 7: no rating
            "6,99,2024-01-01,1,buy,5\n"     // 8: not in items.csv
            "1,11,2024-01-02,2,buy,5\n"
            "x,,,,view,\n"  // not looked at
            "1,12,2024-01-03,1,buy,5\n");
  raw.Write("items.csv", "item_id\n10\n11\n12\n");
  const std::string config =
      R"(interactions { path: "$D/x.csv" time: "t" weight: "w" rating: "r" min_rating: 2
                        where: "e = 'buy'" user_type: INTEGER max_bad_rows: )";
  const std::string items = R"( } items { path: "$D/items.csv" })";

  const auto dataset = PrepareForAMoment(raw, absl::StrCat(config, 6, items));
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10 11 12"));
  EXPECT_THAT(dataset->train().weight, ElementsAre(1, 2, 1));
  EXPECT_EQ(dataset->users().rows(), 1);
  EXPECT_EQ(dataset->meta().read_rows(), 10);
  EXPECT_EQ(dataset->meta().dropped_as_bad(), 6);
  EXPECT_EQ(dataset->meta().dropped_by_where(), 1);

  ExpectError(
      raw, absl::StrCat(config, 5, items), ExitCode::kData,
      {"x.csv:8: column \"item_id\": item 99 is not in ",
       "this is one bad row more than data.interactions.max_bad_rows 5 allows, the first was",
       "x.csv:3: column \"user_id\": value \"x1\" is not an integer"});

  ASSERT_TRUE(raw.Prepare(absl::StrCat(config, 100, items)).ok());
  EXPECT_THAT(RejectedNumbers(raw), ElementsAre(3, 4, 5, 6, 7, 8));
  const nlohmann::json row = Rejected(raw)[2];
  EXPECT_EQ(row["file"], raw.File("x.csv"));
  EXPECT_EQ(row["values"]["user_id"], "3");
  EXPECT_EQ(row["values"]["t"], "yesterday");
  EXPECT_THAT(row["error"].get<std::string>(),
              ::testing::HasSubstr("x.csv:5: column \"t\": value \"yesterday\" is not a time"));
}

// A few bad values do not decide the types of columns either.
TEST(RejectedRowsTest, TypesAreFoundAmongTheGoodRows) {
  const RawFolder raw;
  std::string text = "user_id,item_id,t\n";
  for (int i = 0; i < 40; ++i) absl::StrAppend(&text, i, ",1,", 1704067200 + i, "\n");
  absl::StrAppend(&text, "NULL,1,1704067300\n7,x,1704067300\n7,1,late\n");
  raw.Write("x.csv", text);
  const std::string config = R"(interactions { path: "$D/x.csv" time: "t" max_bad_rows: )";

  ExpectError(raw, absl::StrCat(config, "0 }"), ExitCode::kData, {"x.csv:42: column \"user_id\""});
  const auto dataset = raw.PrepareAndOpen(absl::StrCat(config, "3 }"));

  ASSERT_NE(dataset, nullptr);
  EXPECT_TRUE(dataset->users().has_integer_ids());
  EXPECT_FALSE(dataset->meta().time_is_ordinal());
  EXPECT_THAT(RejectedNumbers(raw), ElementsAre(42, 43, 44));
}

TEST(RejectedRowsTest, RecordsWithTooManyOrTooFewValuesAreBadRows) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2,3\n1,10\n1\n1,\"b\"\n\n1,c,d\n1,11\n1,2,3\n1,4,5\n");
  const std::string config = R"(interactions { path: "$D/x.csv" item_type: INTEGER max_bad_rows: )";

  const auto dataset = raw.PrepareAndOpen(absl::StrCat(config, 6, " }"));

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10 11"));
  EXPECT_EQ(dataset->meta().read_rows(), 8);
  EXPECT_EQ(dataset->meta().dropped_as_bad(), 6);
  // Records that cannot be cut come before the others of their block.
  EXPECT_THAT(RejectedNumbers(raw), ::testing::UnorderedElementsAre(2, 4, 5, 6, 8, 9));
  EXPECT_EQ(Rejected(raw)[0]["text"], "1,2,3");

  ASSERT_TRUE(LocalFiles().RemoveAll(raw.prepared()).ok());
  ExpectError(raw, absl::StrCat(config, 5, " }"), ExitCode::kData,
              {"is one bad row more than data.interactions.max_bad_rows 5"});
}

// Chunks of 65536 rows, of which some have no bad row, some one, some many.
TEST(RejectedRowsTest, ManyBadRowsAmongManyAreFoundAlone) {
  constexpr int kRows = 200'003;
  const RawFolder raw;
  std::vector<std::optional<int64_t>> users, items;
  std::vector<std::optional<double>> weights;
  std::vector<int64_t> bad;
  for (int i = 0; i < kRows; ++i) {
    const bool is_bad =
        i == 0 || i == 70'000 || i % 7919 == 5 || i == kRows - 1 || (i >= 140'000 && i < 140'100);
    if (is_bad) bad.push_back(i + 1);
    users.push_back(i % 1000);
    items.push_back(is_bad && i % 2 == 0 ? std::nullopt : std::optional<int64_t>(i % 777));
    weights.push_back(is_bad && i % 2 == 1 ? -1.0 : 1.0);
  }
  raw.WriteParquet(
      "x.parquet",
      {{"user_id", Int64s(users)}, {"item_id", Int64s(items)}, {"w", Doubles(weights)}});

  const auto dataset =
      raw.PrepareAndOpen(R"(interactions { path: "$D/x.parquet" weight: "w" max_bad_rows: 1000 })");

  ASSERT_NE(dataset, nullptr);
  const auto rows = static_cast<int64_t>(bad.size());
  EXPECT_EQ(dataset->meta().dropped_as_bad(), rows);
  EXPECT_EQ(dataset->train().size(), kRows - rows);
  EXPECT_EQ(RejectedNumbers(raw), bad);
}

TEST(RejectedRowsTest, AColumnThatIsWrongAsAWholeIsAnErrorAtOnce) {
  const RawFolder raw;
  raw.WriteParquet("x.parquet",
                   {{"user_id", testing::ArrayOf<arrow::BooleanBuilder, bool>({true, false})},
                    {"item_id", Int64s({1, 2})}});
  ExpectError(raw, R"(interactions { path: "$D/x.parquet" max_bad_rows: 1000 })", ExitCode::kData,
              {"x.parquet: column \"user_id\": has type bool"});
}

TEST(RejectedRowsTest, NoFileIsWrittenWithoutABadRow) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,10\n");
  ASSERT_TRUE(raw.Prepare(R"(interactions { path: "$D/x.csv" max_bad_rows: 3 })").ok());
  EXPECT_FALSE(LocalFiles().Info(JoinPath(raw.prepared(), kRejectedName))->exists);
}

}  // namespace
}  // namespace torii::data
