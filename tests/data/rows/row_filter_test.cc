// Which rows are dropped before anything else is looked at.
#include <string>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/prepare/prepare_errors.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using testing::Int64s;
using testing::Lines;
using testing::RawFolder;
using testing::Strings;

// Rows that are dropped hold what no row may hold.
constexpr char kEvents[] =
    "user_id,item_id,t,event,r\n"
    "1,10,1,buy,5\n"
    "x,,never,view,bad\n"
    "1,11,2,buy,1\n"
    ",12,3,buy,\n"
    "1,13,4,cart,9\n"
    "2,10,5,,9\n";

TEST(RowFilterTest, WhereComesBeforeRatingAndRatingBeforeAllElse) {
  const RawFolder raw;
  raw.Write("x.csv", kEvents);

  const auto dataset = raw.PrepareAndOpen(
      R"(interactions { path: "$D/x.csv" time: "t" rating: "r" min_rating: 4
                        where: "event = 'buy' or event = 'cart'" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10 13"));
  EXPECT_EQ(dataset->meta().read_rows(), 6);
  EXPECT_EQ(dataset->meta().dropped_by_where(), 2);
  EXPECT_EQ(dataset->meta().dropped_by_rating(), 2);
}

TEST(RowFilterTest, WhereAppliesToAllPartsAndKeepsTheNumbersOfRows) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,e\n1,10,0\n1,11,1\n2,11,1\n");
  raw.WriteParquet("t.parquet", {{"user_id", Int64s({1, 2, std::nullopt})},
                                 {"item_id", Int64s({10, 10, 11})},
                                 {"e", Int64s({0, 1, 0})}});
  const std::string config =
      R"(interactions { path: "$D/x.csv" where: "e = 1" } test_path: "$D/t.parquet")";

  const auto dataset = PrepareForAMoment(raw, config);
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 11", "2: 11"));
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("2: 10"));
  EXPECT_EQ(dataset->meta().dropped_by_where(), 3);

  raw.Write("x.csv", "user_id,item_id,e\n1,10,0\n1,,1\n");
  ExpectError(raw, config, ExitCode::kData, {"x.csv:3: column \"item_id\": the id is missing"});
}

// A column of ids, of times and of the folders serves as well.
TEST(RowFilterTest, WhereMayNameAnyColumn) {
  const RawFolder raw;
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("logs/day=2024-01-02")).ok());
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("logs/day=2024-01-01")).ok());
  for (const char* day : {"logs/day=2024-01-01/x.parquet", "logs/day=2024-01-02/x.parquet"}) {
    raw.WriteParquet(day, {{"user_id", Int64s({1, 2, 3})}, {"item_id", Strings({"a", "b", "c"})}});
  }

  const auto dataset = raw.PrepareAndOpen(
      R"(interactions { path: "$D/logs" where: "day > '2024-01-01' and user_id != 2" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: a", "3: c"));
}

TEST(RowFilterTest, WhereThatIsWrongIsToldBeforeAnyFileIsRead) {
  const RawFolder raw;
  raw.Write("x.csv", kEvents);

  ExpectError(raw, R"(interactions { path: "$D/nowhere.csv" where: "event = buy" })",
              ExitCode::kConfig, {"data.interactions.where: character 9: a number, a text"});
  ExpectError(raw, R"(interactions { path: "$D/x.csv" where: "evnt = 'buy'" })", ExitCode::kData,
              {"x.csv: no column \"evnt\" (did you mean 'event'?)"});
  ExpectError(raw, R"(interactions { path: "$D/x.csv" where: "t > 0" })", ExitCode::kData,
              {"x.csv:3: column \"t\": value \"never\" is not a number (data.interactions.where, "
               "character 1)"});
  ExpectError(raw, R"(interactions { path: "$D/x.csv" where: "event = 'steal'" })", ExitCode::kData,
              {"x.csv: none of 6 rows is kept, 6 dropped by where"});
}

}  // namespace
}  // namespace torii::data
