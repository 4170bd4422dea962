// Ids, quotes and encodings that are not what they seem: an error, and never another dataset.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/prepare/prepare_errors.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using testing::Int64s;
using testing::RawFolder;
using testing::Strings;

constexpr char kCsv[] = R"(interactions { path: "$D/x.csv" } )";

TEST(PrepareTextErrorsTest, OneBadIdDoesNotChangeTheTypeOfTheColumn) {
  const RawFolder raw;
  std::string text = "user_id,item_id\n";
  for (int i = 0; i < 40; ++i) {
    absl::StrAppend(&text, i, ",", i == 7 ? "1O" : std::to_string(i), "\n");
  }
  raw.Write("x.csv", text);
  ExpectError(raw, kCsv, ExitCode::kData,
              {"x.csv:9: column \"item_id\": value \"1O\" is not an integer, as 39 of the first 40 "
               "ids are; correct it, or set data.interactions.item_type: TEXT"});

  raw.Write("x.csv", "user_id,item_id\nNULL,1\nNULL,2\n1,1\n1,2\n");
  ExpectError(raw, kCsv, ExitCode::kData,
              {"x.csv:2: column \"user_id\": value \"NULL\"", "name it in `null_values`"});
}

TEST(PrepareTextErrorsTest, RefusesALeadingZeroFarIntoAFileOfIntegers) {
  const RawFolder raw;
  std::string text = "user_id,item_id\n";
  for (int i = 0; i < 600'000; ++i) {
    absl::StrAppend(&text, i % 1000, ",", 1000 + i % 77, "\n");
  }
  absl::StrAppend(&text, "5,0012\n");
  raw.Write("x.csv", text);

  ExpectError(raw, kCsv, ExitCode::kData,
              {"x.csv:600002: column \"item_id\": value \"0012\" has a leading zero or plus sign, "
               "unlike the ids before (set data.interactions.item_type: TEXT"});
  EXPECT_TRUE(raw.Prepare(R"(interactions { path: "$D/x.csv" item_type: INTEGER })").ok());
}

TEST(PrepareTextErrorsTest, RefusesFilesWhoseIdsCannotBeCompared) {
  const RawFolder raw;
  raw.WriteParquet("a.parquet", {{"user_id", Int64s({1})}, {"item_id", Int64s({7})}});
  raw.WriteParquet("b.parquet", {{"user_id", Int64s({1})}, {"item_id", Strings({"007"})}});

  ExpectError(raw, R"(interactions { path: "$D/*.parquet" })", ExitCode::kData,
              {"ids cannot be compared: ", "a.parquet has integers", "b.parquet has text",
               "data.interactions.item_type: TEXT or INTEGER"});
}

TEST(PrepareTextErrorsTest, NamesTheRowOfAQuoteThatIsNotClosed) {
  const RawFolder raw;
  std::string text = "user_id,item_id,title\n";
  for (int i = 0; i < 40; ++i) {
    absl::StrAppend(&text, i % 5, ",", i % 7, i == 5 || i == 30 ? ",\"12 inch mix\n" : ",x\n");
  }
  raw.Write("x.csv", text);
  ExpectError(
      raw, kCsv, ExitCode::kData,
      {"x.csv:7: the quote is not closed before another one, 25 lines later", "`quotes: false`"});
  const auto all = PrepareForAMoment(raw, R"(interactions { path: "$D/x.csv" quotes: false })");
  ASSERT_NE(all, nullptr);
  EXPECT_EQ(all->train().size(), 40);

  // Two stray quotes that look like one value, with rows inside.
  raw.Write("x.csv", "user_id,item_id,title\n1,1,\"Weird\n2,2,x\n3,3,y\n4,4,12\"\n5,5,z\n");
  ExpectError(raw, R"(interactions { path: "$D/x.csv" max_quoted_lines: 100 })", ExitCode::kData,
              {"x.csv:2: the value in quotes holds 2 lines that look like rows"});
  EXPECT_NE(PrepareForAMoment(raw, R"(interactions { path: "$D/x.csv" max_quoted_lines: 5 })"),
            nullptr);

  // Far into the file, in another block than its end.
  text = "user_id,item_id,title\n1,1,\"a\nb\"\n\n";
  for (int i = 0; i < 900'000; ++i) {
    absl::StrAppend(&text, i % 5, ",", i % 7, i == 500'000 ? ",\"x\n" : ",x\n");
  }
  raw.Write("x.csv", text);
  ExpectError(raw, kCsv, ExitCode::kData,
              {"x.csv:500003: the quote is not closed within 100 lines"});
}

TEST(PrepareTextErrorsTest, RefusesTextThatIsNotUtf8) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,2\n");
  raw.Write("items.csv", "item_id,title\n2,Am\xe9lie\n");
  const std::string items = R"(items { path: "$D/items.csv" title: "title" )";
  ExpectError(
      raw, absl::StrCat(kCsv, items, "}"), ExitCode::kData,
      {"items.csv:2: column \"title\": value \"Am\\xe9lie\" is not valid UTF-8", "set `encoding`"});
  const auto dataset =
      PrepareForAMoment(raw, absl::StrCat(kCsv, items, "encoding: \"ISO-8859-1\" }"));
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->items().Title(0), "Amélie");

  raw.Write("items.csv", "item_id,title\n2,\x93\xfa\n\n3,\x93\n");
  ExpectError(raw, absl::StrCat(kCsv, items, "encoding: \"Shift_JIS\" }"), ExitCode::kData,
              {"items.csv: line 4: the text is not valid Shift_JIS; set `encoding`"});
  raw.Write("items.csv", "it\xe9m\n2\n");
  ExpectError(raw, absl::StrCat(kCsv, items, "}"), ExitCode::kData,
              {"items.csv: the header is not valid UTF-8; set `encoding`"});
}

}  // namespace
}  // namespace torii::data
