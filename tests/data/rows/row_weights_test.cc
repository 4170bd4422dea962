// Weights of rows by the words of a column.
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
using testing::RawFolder;
using testing::Strings;

std::string WithMap(const std::string& map) {
  return absl::StrCat(R"(interactions { path: "$D/x.csv" weight_map { column: "event" )", map,
                      " } }");
}
constexpr char kBuyAndCart[] =
    R"(value { key: "buy" weight: 5 } value { key: "cart" weight: 0.5 } )";

TEST(RowWeightsTest, AreThoseOfTheWords) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,event\n1,10,cart\n1,11,buy\n1,12,view\n1,13,\n");

  const auto dataset = raw.PrepareAndOpen(WithMap(absl::StrCat(kBuyAndCart, "default: 0")));

  ASSERT_NE(dataset, nullptr);
  EXPECT_TRUE(dataset->meta().has_weight());
  EXPECT_THAT(dataset->train().weight, ElementsAre(0.5, 5, 0, 0));
}

TEST(RowWeightsTest, MayGoByNumbersAndOtherFilesHaveThemToo) {
  const RawFolder raw;
  raw.WriteParquet(
      "x.parquet",
      {{"user_id", Int64s({1, 1})}, {"item_id", Int64s({10, 11})}, {"kind", Int64s({3, 1})}});
  raw.WriteParquet("t.parquet",
                   {{"user_id", Int64s({1})}, {"item_id", Int64s({12})}, {"kind", Strings({"3"})}});

  const auto dataset = raw.PrepareAndOpen(
      R"(interactions { path: "$D/x.parquet" weight_map { column: "kind"
           value { key: "1" weight: 1 } value { key: "3" weight: 2 } } }
         test_path: "$D/t.parquet")");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->train().weight, ElementsAre(2, 1));
  EXPECT_THAT(dataset->test().weight, ElementsAre(2));
}

TEST(RowWeightsTest, WithoutADefaultAnUnknownWordIsAnError) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,event\n1,10,cart\n1,12,view\n");
  ExpectError(raw, WithMap(kBuyAndCart), ExitCode::kData,
              {"x.csv:3: column \"event\": value \"view\" has no weight in "
               "data.interactions.weight_map; name it there, or set its `default`"});
  raw.Write("x.csv", "user_id,item_id,event\n1,10,cart\n1,12,\n");
  ExpectError(raw, WithMap(kBuyAndCart), ExitCode::kData,
              {"x.csv:3: column \"event\": a missing value has no weight"});
}

TEST(RowWeightsTest, BrokenRulesOfTheMapAreToldAtOnce) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,event\n1,10,cart\n");
  ExpectError(raw,
              R"(interactions { path: "$D/x.csv" weight: "w" weight_map { default: -1
                   value { key: "a" weight: -2 } value { key: "a" weight: nan } value {} } })",
              ExitCode::kConfig,
              {"data.interactions.weight_map: excludes weight and rating_as_weight",
               "data.interactions.weight_map.column: is needed",
               "data.interactions.weight_map.default: must be a number >= 0, not -1",
               "data.interactions.weight_map.value[0].weight: must be a number >= 0, not -2",
               "data.interactions.weight_map.value[1].key: \"a\" has a weight already",
               "data.interactions.weight_map.value[1].weight: must be a number >= 0, not nan",
               "data.interactions.weight_map.value[2].key: is needed",
               "data.interactions.weight_map.value[2].weight: is needed"});
  ExpectError(raw, WithMap(""), ExitCode::kConfig, {"weight_map.value: is needed"});
}

}  // namespace
}  // namespace torii::data
