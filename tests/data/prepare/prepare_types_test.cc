// What the types of ids and times mean, over several files.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using testing::IdsOf;
using testing::Int64s;
using testing::Lines;
using testing::RawFolder;

TEST(PrepareTypesTest, NumericTextIsAnIntegerUnlessItHasLeadingZerosOrTextIsAskedFor) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n10,007\n9,7\n");

  const auto detected = raw.PrepareAndOpen(R"(interactions { path: "$D/x.csv" })");
  ASSERT_NE(detected, nullptr);
  EXPECT_THAT(IdsOf(detected->users()), ElementsAre("9", "10"));
  EXPECT_THAT(IdsOf(detected->items()), ElementsAre("007", "7"));

  const auto integers =
      raw.PrepareAndOpen(R"(interactions { path: "$D/x.csv" item_type: INTEGER })");
  ASSERT_NE(integers, nullptr);
  EXPECT_THAT(IdsOf(integers->items()), ElementsAre("7"));

  const auto texts =
      raw.PrepareAndOpen(R"(interactions { path: "$D/x.csv" user_type: TEXT item_type: TEXT })");
  ASSERT_NE(texts, nullptr);
  EXPECT_THAT(IdsOf(texts->users()), ElementsAre("10", "9"));
  EXPECT_THAT(IdsOf(texts->items()), ElementsAre("007", "7"));
}

TEST(PrepareTypesTest, AParquetColumnOfTextHoldsIdsOfText) {
  const RawFolder raw;
  const std::vector<std::optional<std::string>> ids = {"0001713353", "1713353", "0002005", "2005"};
  const std::vector<std::shared_ptr<arrow::Array>> columns = {
      testing::Strings(ids), testing::ArrayOf<arrow::LargeStringBuilder, std::string>(ids),
      testing::ArrayOf<arrow::StringDictionaryBuilder, std::string>(ids)};
  for (const auto& column : columns) {
    raw.WriteParquet("x.parquet", {{"user_id", Int64s({1, 1, 2, 2})}, {"item_id", column}});

    const auto dataset = raw.PrepareAndOpen(R"(interactions { path: "$D/x.parquet" })");

    ASSERT_NE(dataset, nullptr);
    EXPECT_THAT(IdsOf(dataset->items()), ElementsAre("0001713353", "0002005", "1713353", "2005"));
  }
}

TEST(PrepareTypesTest, IdsOf64BitsWithoutASignAreKeptWhole) {
  const RawFolder raw;
  raw.WriteParquet("x.parquet", {{"user_id", Int64s({1, 1})},
                                 {"item_id", testing::ArrayOf<arrow::UInt64Builder, uint64_t>(
                                                 {UINT64_MAX, UINT64_MAX - 1})}});

  const auto dataset = raw.PrepareAndOpen(R"(interactions { path: "$D/x.parquet" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(dataset->items()), ElementsAre("18446744073709551614", "18446744073709551615"));
}

TEST(PrepareTypesTest, TheTypeOfIdsIsDecidedOverAllFiles) {
  const RawFolder raw;
  raw.Write("a.csv", "user_id,item_id\n1,7\n");
  raw.Write("b.csv", "user_id,item_id\n1,007\n");

  const auto dataset = raw.PrepareAndOpen(R"(interactions { path: "$D/*.csv" })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(dataset->items()), ElementsAre("007", "7"));
}

// Two days, written in two units: the later one is held out.
TEST(PrepareTypesTest, TimesOfAllUnitsAreCompared) {
  const auto timestamps = [](arrow::TimeUnit::type unit, const std::vector<int64_t>& values) {
    arrow::TimestampBuilder builder(arrow::timestamp(unit), arrow::default_memory_pool());
    EXPECT_TRUE(builder.AppendValues(values).ok());
    return builder.Finish().ValueOrDie();
  };
  const RawFolder raw;
  raw.WriteParquet("day1.parquet",
                   {{"user_id", Int64s({1, 1, 2})},
                    {"item_id", Int64s({1, 2, 1})},
                    {"t", timestamps(arrow::TimeUnit::NANO,
                                     {1'704'100'000'000'000'000, 1'704'100'001'000'000'000,
                                      1'704'100'002'000'000'000})}});
  const std::string config = R"(interactions { path: ["$D/day1.parquet", "$D/day2.*"] time: "t" })";
  const auto expect = [&] {
    const auto dataset = raw.PrepareAndOpen(config + "split { last_k: 1 }");
    ASSERT_NE(dataset, nullptr);
    EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 3", "2: 2"));
    EXPECT_FALSE(dataset->meta().time_is_ordinal());
    const auto from = raw.PrepareAndOpen(config + "split { time_from: '2024-02-01' }");
    ASSERT_NE(from, nullptr);
    EXPECT_THAT(Lines(*from, from->test()), ElementsAre("1: 3", "2: 2"));
  };

  const testing::NamedColumns ids = {{"user_id", Int64s({1, 2})}, {"item_id", Int64s({3, 2})}};
  testing::NamedColumns columns = ids;
  columns.emplace_back(
      "t", timestamps(arrow::TimeUnit::MICRO, {1'707'000'000'000'000, 1'707'000'001'000'000}));
  raw.WriteParquet("day2.parquet", columns);
  expect();
  columns.back().second = Int64s({1'707'000'000, 1'707'000'001});
  raw.WriteParquet("day2.parquet", columns);
  expect();
  arrow::Date32Builder date;
  ASSERT_TRUE(date.AppendValues(std::vector<int32_t>{19757, 19757}).ok());
  columns.back().second = date.Finish().ValueOrDie();
  raw.WriteParquet("day2.parquet", columns);
  expect();
  ASSERT_TRUE(LocalFiles().RemoveAll(raw.File("day2.parquet")).ok());
  raw.Write("day2.csv",
            "user_id,item_id,t\n1,3,2024-02-03 22:40:00 UTC\n2,2,2024-02-03T22:40:01Z\n");
  expect();
}

}  // namespace
}  // namespace torii::data
