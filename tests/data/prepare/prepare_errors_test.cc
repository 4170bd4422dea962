// Bad input: one clear message that names the place, the documented exit code, and nothing left
// behind.
#include <unistd.h>

#include <string>
#include <vector>

#include "base/exit_code.h"
#include "data/prepare/prepare.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/prepare/prepare_errors.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using testing::Doubles;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Int64s;
using testing::RawFolder;
using testing::Strings;

constexpr char kCsv[] = R"(interactions { path: "$D/x.csv" } )";
constexpr char kParquet[] = R"(interactions { path: "$D/x.parquet" } )";

TEST(PrepareErrorsTest, NamesAMissingColumnAndThoseThatAreThere) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,itemid,rating\n1,2,3\n");
  raw.WriteParquet("x.parquet", {{"user_id", Int64s({1})}, {"itm_id", Int64s({1})}});

  ExpectError(
      raw, kCsv, ExitCode::kData,
      {"x.csv", "no column \"item_id\"", "did you mean 'itemid'?", "user_id, itemid, rating"});
  ExpectError(raw, kParquet, ExitCode::kData,
              {"x.parquet", "no column \"item_id\"", "did you mean 'itm_id'?"});
}

TEST(PrepareErrorsTest, RefusesAColumnThatIsThereTwice) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,item_id\n1,2,3\n");

  ExpectError(raw, kCsv, ExitCode::kData, {"column \"item_id\" is there twice"});
}

TEST(PrepareErrorsTest, NamesTheRowOfTextInAnIntegerColumnFarIntoTheFile) {
  constexpr int kRow = 1'234'567;
  const RawFolder raw;
  std::string text = "user_id,item_id\n";
  for (int row = 2; row < kRow; ++row) {
    absl::StrAppend(&text, row % 1000, ",", row % 77, "\n");
  }
  absl::StrAppend(&text, "5,12x\n6,7\n");
  raw.Write("x.csv", text);

  ExpectError(raw, kCsv, ExitCode::kData,
              {"x.csv:1234567: column \"item_id\": value \"12x\" is not an integer (set "
               "data.interactions.item_type: TEXT to keep ids as text)"});
}

TEST(PrepareErrorsTest, CountsAQuotedValueOverSeveralLinesAsOneRecord) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,note\n1,2,\"two\nlines\"\n3,4x,ok\n");

  ExpectError(raw, R"(interactions { path: "$D/x.csv" item_type: INTEGER })", ExitCode::kData,
              {"x.csv:3: column \"item_id\": value \"4x\""});
}

TEST(PrepareErrorsTest, NamesARowWithTooManyValues) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n1,2,3\n");

  ExpectError(raw, kCsv, ExitCode::kData, {"x.csv", "3", "Expected 2 columns, got 3"});
}

TEST(PrepareErrorsTest, RefusesAMissingId) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n,2\n");
  raw.WriteParquet("x.parquet",
                   {{"user_id", Int64s({1, 2, 3})}, {"item_id", Int64s({1, 2, std::nullopt})}});

  ExpectError(raw, kCsv, ExitCode::kData, {"x.csv:3: column \"user_id\": the id is missing"});
  ExpectError(raw, kParquet, ExitCode::kData,
              {"x.parquet:3: column \"item_id\": the id is missing"});
}

TEST(PrepareErrorsTest, RefusesIdsThatAreNeitherIntegersNorText) {
  const RawFolder raw;
  raw.WriteParquet("x.parquet",
                   {{"user_id", testing::ArrayOf<arrow::BooleanBuilder, bool>({true, false})},
                    {"item_id", Int64s({1, 2})}});
  ExpectError(raw, kParquet, ExitCode::kData,
              {"x.parquet: column \"user_id\": has type bool; ids are integers or text"});

  raw.WriteParquet("x.parquet", {{"user_id", Doubles({1, 2.5})}, {"item_id", Int64s({1, 2})}});
  ExpectError(raw, kParquet, ExitCode::kData,
              {"x.parquet:2: column \"user_id\": value 2.5 is not a whole number"});
}

TEST(PrepareErrorsTest, RefusesBadWeights) {
  const RawFolder raw;
  const testing::NamedColumns ids = {{"user_id", Int64s({1, 2})}, {"item_id", Int64s({1, 2})}};
  const std::string config = R"(interactions { path: "$D/x.parquet" weight: "w" })";
  testing::NamedColumns columns = ids;
  columns.emplace_back("w", Doubles({1, -0.5}));
  raw.WriteParquet("x.parquet", columns);
  ExpectError(raw, config, ExitCode::kData,
              {"x.parquet:2: column \"w\": weight -0.5 is not a number >= 0"});

  columns.back().second = Doubles({std::nan(""), 1});
  raw.WriteParquet("x.parquet", columns);
  ExpectError(raw, config, ExitCode::kData, {"x.parquet:1: column \"w\": weight NaN"});

  columns.back().second = Strings({"1", "heavy"});
  raw.WriteParquet("x.parquet", columns);
  ExpectError(raw, config, ExitCode::kData,
              {"x.parquet:2: column \"w\": value \"heavy\" is not a number"});
}

TEST(PrepareErrorsTest, RefusesBadTimes) {
  const RawFolder raw;
  const std::string config = R"(interactions { path: "$D/x.csv" time: "t" })";
  raw.Write("x.csv", "user_id,item_id,t\n1,2,5\n1,3,\n");
  ExpectError(raw, config, ExitCode::kData, {"x.csv:3: column \"t\": the time is missing"});

  raw.Write("x.csv", "user_id,item_id,t\n1,2,5\n1,3,yesterday\n");
  ExpectError(raw, config, ExitCode::kData, {"x.csv:3: column \"t\": value \"yesterday\""});
}

TEST(PrepareErrorsTest, NamesAnItemThatTheItemsFileLacks) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n1,4711\n");
  raw.Write("items.csv", "item_id\n2\n");
  const std::string config = absl::StrCat(kCsv, R"(items { path: "$D/items.csv" )");

  ExpectError(raw, config + "}", ExitCode::kData,
              {"x.csv:3: column \"item_id\": item 4711 is not in ", "items.csv",
               "data.items.missing: ALLOW"});
  EXPECT_TRUE(raw.Prepare(config + "missing: ALLOW }").ok());
}

TEST(PrepareErrorsTest, NamesAnItemOfTheTestFileThatTheItemsFileLacks) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\na,p\n");
  raw.Write("t.csv", "user_id,item_id\na,p\na,q\n");
  raw.Write("items.csv", "item_id\np\n");

  ExpectError(raw, absl::StrCat(kCsv, R"(test_path: "$D/t.csv" items { path: "$D/items.csv" })"),
              ExitCode::kData, {"t.csv:3: column \"item_id\": item \"q\" is not in "});
}

TEST(PrepareErrorsTest, NamesBothRowsOfADuplicatedId) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n");
  raw.Write("a.csv", "item_id\n5\n2\n");
  raw.Write("b.csv", "item_id\n7\n8\n2\n");

  ExpectError(raw, absl::StrCat(kCsv, R"(items { path: ["$D/a.csv", "$D/b.csv"] })"),
              ExitCode::kData, {"b.csv:4: column \"item_id\": id 2 is also in ", "a.csv:3"});
}

TEST(PrepareErrorsTest, NamesATruncatedParquetFile) {
  const RawFolder raw;
  std::vector<std::optional<int64_t>> ids;
  for (int64_t i = 0; i < 20000; ++i) {
    ids.push_back(i * 7919 % 10007);
  }
  raw.WriteParquet("x.parquet", {{"user_id", Int64s(ids)}, {"item_id", Int64s(ids)}}, 5000);
  const std::string whole = *ReadFile(LocalFiles(), raw.File("x.parquet"));

  raw.Write("x.parquet", whole.substr(0, whole.size() / 2));
  ExpectError(raw, kParquet, ExitCode::kData, {"x.parquet", "truncated"});

  // The end with the directory is whole, the second row group is not.
  std::string hole = whole;
  std::fill_n(hole.begin() + static_cast<std::ptrdiff_t>(hole.size() / 3), 20000, '\xff');
  raw.Write("x.parquet", hole);
  ExpectError(raw, kParquet, ExitCode::kData, {"x.parquet: row group ", "damaged"});
}

TEST(PrepareErrorsTest, RefusesEmptyInput) {
  const RawFolder raw;
  raw.Write("x.csv", "");
  ExpectError(raw, kCsv, ExitCode::kData, {"x.csv", "empty"});

  raw.Write("x.csv", "user_id,item_id\n");
  ExpectError(raw, kCsv, ExitCode::kData, {"x.csv", "no rows"});

  raw.WriteParquet("x.parquet", {{"user_id", Int64s({})}, {"item_id", Int64s({})}});
  ExpectError(raw, kParquet, ExitCode::kData, {"x.parquet", "no rows"});

  raw.Write("x.csv", "user_id,item_id,r\n1,2,3\n");
  ExpectError(raw, R"(interactions { path: "$D/x.csv" rating: "r" min_rating: 4 })",
              ExitCode::kData, {"x.csv", "none of 1 rows is kept, 1 dropped by rating"});
  ExpectError(raw, absl::StrCat(kCsv, "filters { min_user_interactions: 2 }"), ExitCode::kData,
              {"data.filters", "none of 1 interactions remain"});
}

TEST(PrepareErrorsTest, RefusesAnEmptySideFile) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n");
  raw.Write("items.csv", "item_id,price\n");

  ExpectError(raw, absl::StrCat(kCsv, R"(items { path: "$D/items.csv" })"), ExitCode::kData,
              {"items.csv: no rows"});
}

TEST(PrepareErrorsTest, RefusesASplitThatLeavesNothingToTrain) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id,t\n1,2,5\n1,3,5\n2,3,5\n");
  const std::string data = R"(interactions { path: "$D/x.csv" time: "t" } )";

  ExpectError(raw, data + "split { time_fraction: 0.5 }", ExitCode::kData,
              {"data.split.time_fraction", "same time"});
  ExpectError(raw, data + "split { time_from: '5' }", ExitCode::kData,
              {"data.split.time_from: 5: no interaction is before it"});
  ExpectError(raw, data + "split { time_from: 'May' }", ExitCode::kConfig,
              {"data.split.time_from: \"May\" is not a number, as the times of the files are"});
  raw.Write("x.csv", "user_id,item_id,t\n1,2,2024-03-05\n1,3,2024-03-06\n");
  ExpectError(raw, data + "split { time_from: '2024-03-05 00:00' }", ExitCode::kData,
              {"data.split.time_from: 2024-03-05: no interaction is before it"});
  ExpectError(raw, data + "split { time_from: 'May' }", ExitCode::kConfig,
              {"data.split.time_from: \"May\" is neither a date such as 2024-01-31 12:34:56"});
}

TEST(PrepareErrorsTest, NamesAMissingFileAndAGlobWithoutMatches) {
  const RawFolder raw;
  raw.Write("events.csv", "user_id,item_id\n1,2\n");

  ExpectError(raw, R"(interactions { path: "$D/event.csv" })", ExitCode::kNoInput,
              {"event.csv: no such file (did you mean 'events.csv'?) (data.interactions.path)"});
  ExpectError(raw, R"(interactions { path: "$D/*.tsv" })", ExitCode::kNoInput,
              {"*.tsv: no file matches"});
}

TEST(PrepareErrorsTest, ALinkToAFileThatIsNotThereIsCalledOne) {
  const RawFolder raw;
  ASSERT_EQ(::symlink("/nowhere/x.csv", raw.File("d.csv").c_str()), 0);

  ExpectError(raw, R"(interactions { path: "$D/d.csv" })", ExitCode::kNoInput,
              {"d.csv: is a link to a file that is not there (data.interactions.path)"});
}

// What a row holds that min_rating drops is not looked at.
TEST(PrepareErrorsTest, DroppedRowsAreNotChecked) {
  const RawFolder raw;
  raw.Write("x.csv",
            "user_id,item_id,r,t\n1,20,-1,never\n1,,1,\n1,24,8,2024-01-01\n1,79,9,2024-01-02\n"
            ",79,,x\n2,5,9,2024-01-03\n");

  const auto dataset = PrepareForAMoment(
      raw,
      R"(interactions { path: "$D/x.csv" time: "t" rating: "r" min_rating: 7 rating_as_weight: true })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->train().size(), 3);
  EXPECT_EQ(dataset->meta().dropped_by_rating(), 3);
  EXPECT_EQ(dataset->meta().read_rows(), 6);
  // A row that is kept keeps its number in messages.
  raw.Write("x.csv", "user_id,item_id,r\n1,20,-1\n1,,9\n");
  ExpectError(raw, R"(interactions { path: "$D/x.csv" rating: "r" min_rating: 7 }
)",
              ExitCode::kData, {"x.csv:3: column \"item_id\": the id is missing"});
}

TEST(PrepareErrorsTest, RefusesAnUnknownFormat) {
  const RawFolder raw;
  raw.Write("x.dat", "user_id,item_id\n1,2\n");

  ExpectError(raw, R"(interactions { path: "$D/x.dat" })", ExitCode::kData,
              {"x.dat: the name does not tell the format", "format: CSV"});
  EXPECT_TRUE(raw.Prepare(R"(interactions { path: "$D/x.dat" format: CSV })").ok());
}

TEST(PrepareErrorsTest, RefusesFeatureValuesOfTheWrongKind) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n");
  raw.Write("items.csv", "item_id,price,v,flag\n2,cheap,1 2,maybe\n3,-1,1 2 3,0\n");
  const auto expect = [&](const std::string& feature, const std::string& message) {
    ExpectError(raw,
                absl::StrCat(kCsv, R"(items { path: "$D/items.csv" feature { )", feature, " } }"),
                ExitCode::kData, {message});
  };

  expect(R"(column: "price" numeric {})",
         "items.csv:2: column \"price\": value \"cheap\" is not a number");
  expect(R"(column: "v" vector {})",
         "items.csv:3: column \"v\": the vector has 3 values, expected 2 (as in row 2)");
  expect(R"(column: "v" vector { width: 4 })",
         "items.csv:2: column \"v\": the vector has 2 values");
  expect(R"(column: "flag" flags {})", "items.csv:2: column \"flag\": value \"maybe\"");
  expect(R"(column: "prise" numeric {})", "did you mean 'price'?");
  raw.Write("items.csv", "item_id,price\n2,5\n3,-1\n");
  expect(R"(column: "price" numeric { transform: LOG1P })",
         "items.csv:3: column \"price\": value -1 has no log1p");
}

TEST(PrepareErrorsTest, RefusesAnOutputFolderWithOtherFiles) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n");

  const auto folder = raw.Prepare(absl::StrCat(kCsv, R"(prepared_dir: "$D")"));
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(ExitCodeOf(folder.status()), ExitCode::kCannotCreate) << folder.status();
  const auto file = raw.Prepare(absl::StrCat(kCsv, R"(prepared_dir: "$D/x.csv")"));
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(ExitCodeOf(file.status()), ExitCode::kCannotCreate) << file.status();
  const auto below_a_file = raw.Prepare(absl::StrCat(kCsv, R"(prepared_dir: "$D/x.csv/p")"));
  ASSERT_FALSE(below_a_file.ok());
  EXPECT_THAT(*LocalFiles().List(raw.path()), ElementsAre("x.csv"));
}

TEST(PrepareErrorsTest, ReportsEveryViolatedRuleOfTheConfigurationAtOnce) {
  const RawFolder raw;

  ExpectError(raw, R"(interactions { min_rating: 3 } split { last_fraction: 1.5 }
                      filters { min_item_interactions: 0 })",
              ExitCode::kConfig,
              {"data.interactions.path: is needed", "data.interactions.min_rating: needs rating",
               "data.split.last_fraction: must be in (0, 1), not 1.5",
               "data.filters.min_item_interactions: must be at least 1, not 0"});
}

}  // namespace
}  // namespace torii::data
