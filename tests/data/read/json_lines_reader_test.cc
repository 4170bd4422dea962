// JSON lines: one object on each line.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "arrow/io/compressed.h"
#include "arrow/util/compression.h"
#include "base/exit_code.h"
#include "data/read/column_values.h"
#include "data/read/table_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/prepare/prepare_errors.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using testing::Lines;
using testing::RawFolder;

// All values of a column as text ("-": missing), or the message of the error.
std::vector<std::string> Values(const std::string& path, const std::string& column) {
  std::vector<std::string> values;
  const std::vector<std::string> paths = {path};
  const auto inputs = FindInputFiles(LocalFiles(), paths, {}, "path");
  EXPECT_TRUE(inputs.ok()) << inputs.status();
  const auto reader = ConcatenateTables(LocalFiles(), *inputs, {column});
  while (true) {
    const auto chunk = reader->Next();
    if (!chunk.ok()) return {std::string(chunk.status().message())};
    if (!chunk->has_value()) return values;
    EXPECT_EQ((*chunk)->RowNumber(0), static_cast<int64_t>(values.size()) + 1);
    const auto texts = ReadTexts(ColumnOf(**chunk, 0, column));
    if (!texts.ok()) return {std::string(texts.status().message())};
    for (const std::string_view text : texts->values) {
      values.emplace_back(text.data() == nullptr ? "-" : text);
    }
  }
}

TEST(JsonLinesReaderTest, ReadsValuesOfEveryKind) {
  const RawFolder raw;
  raw.Write("x.jsonl",
            "\xef\xbb\xbf{\"i\": 9007199254740993, \"s\": \"007\", \"b\": true, \"d\": 1}\r\n"
            "\n"
            "{\"s\": \"\\u00e9\\\"\", \"d\": 2.5, \"other\": {\"deep\": [1, {}]}, \"i\": null}\n"
            "{}\n"
            "{\"i\": -1, \"s\": \"\", \"b\": false}");  // no line end

  EXPECT_THAT(Values(raw.File("x.jsonl"), "i"), ElementsAre("9007199254740993", "-", "-", "-1"));
  EXPECT_THAT(Values(raw.File("x.jsonl"), "s"), ElementsAre("007", "\xc3\xa9\"", "-", ""));
  EXPECT_THAT(Values(raw.File("x.jsonl"), "b"), ElementsAre("true", "-", "-", "false"));
  EXPECT_THAT(Values(raw.File("x.jsonl"), "other")[0],
              ::testing::HasSubstr("x.jsonl:2: JSON parse error: Column(/other) changed from"));
  EXPECT_THAT(Values(raw.File("x.jsonl"), "d"), ElementsAre("1", "2.5", "-", "-"));
}

TEST(JsonLinesReaderTest, ATextThatLooksLikeATimeRemainsAText) {
  const RawFolder raw;
  raw.Write("x.ndjson", "{\"s\": \"2024-01-31T00:00:00\", \"l\": [\"2024-01-31\"]}\n");

  EXPECT_THAT(Values(raw.File("x.ndjson"), "s"), ElementsAre("2024-01-31T00:00:00"));
  const std::vector<std::string> paths = {raw.File("x.ndjson")};
  const auto inputs = FindInputFiles(LocalFiles(), paths, {}, "path");
  const std::vector<std::string> columns = {"l"};
  const auto chunk = (*OpenTable(LocalFiles(), inputs->front(), columns))->Next();
  const Lists lists = ReadLists(ColumnOf(**chunk, 0, "l"));
  EXPECT_EQ(ReadTexts(lists.elements)->values.front(), "2024-01-31");
}

// Blocks of 1 MB: a column is an integer, a number, missing and text in turn, and always its values.
TEST(JsonLinesReaderTest, BlocksMayHaveOtherTypes) {
  const RawFolder raw;
  std::string text;
  std::vector<std::string> expected;
  const std::string filling(100, 'x');
  for (int i = 0; i < 60'000; ++i) {
    std::string value = absl::StrCat(i);
    if (i / 10'000 == 1) value = absl::StrCat(i, ".5");
    if (i / 10'000 == 3) value = absl::StrCat("\"", i, "\"");
    if (i / 10'000 == 4) value = "\"2024-01-31\"";
    const bool missing = i / 10'000 == 2;
    absl::StrAppend(&text, "{\"f\": \"", filling, "\"",
                    missing ? "" : absl::StrCat(", \"x\": ", value), "}\n");
    std::string shown = value;
    shown.erase(std::remove(shown.begin(), shown.end(), '"'), shown.end());
    expected.push_back(missing ? "-" : shown);
    if (i % 10'000 == 9'999) {
      // So that no block has two types of it.
      for (int k = 0; k < 10'000; ++k) {
        absl::StrAppend(&text, "{\"f\": \"", filling, "\"}\n");
        expected.push_back("-");
      }
    }
  }
  raw.Write("x.jsonl", text);

  EXPECT_EQ(Values(raw.File("x.jsonl"), "x"), expected);
}

TEST(JsonLinesReaderTest, ReadsCompressedFiles) {
  const RawFolder raw;
  const auto codec = arrow::util::Codec::Create(arrow::Compression::GZIP).ValueOrDie();
  const auto file = arrow::io::FileOutputStream::Open(raw.File("x.jsonl.gz")).ValueOrDie();
  const auto out = arrow::io::CompressedOutputStream::Make(codec.get(), file).ValueOrDie();
  ASSERT_TRUE(out->Write("{\"x\": 1}\n{\"x\": 2}\n").ok());
  ASSERT_TRUE(out->Close().ok());

  EXPECT_THAT(Values(raw.File("x.jsonl.gz"), "x"), ElementsAre("1", "2"));
}

TEST(JsonLinesReaderTest, AnErrorNamesTheRow) {
  const RawFolder raw;
  std::string good;
  for (int i = 0; i < 30'000; ++i) {
    absl::StrAppend(&good, "{\"x\": ", i, ", \"f\": \"", std::string(50, 'x'), "\"}\n");
  }
  for (const std::string bad : {"{\"x\": 1", "{\"x\": \"text\"}", "[1]", "{\"x\": tru}"}) {
    raw.Write("x.jsonl", absl::StrCat(good, bad, "\n{\"x\": 1}\n"));
    const std::vector<std::string> values = Values(raw.File("x.jsonl"), "x");
    ASSERT_EQ(values.size(), 1) << bad;
    EXPECT_THAT(values[0], ::testing::HasSubstr("x.jsonl:30001: ")) << bad;
  }
  raw.Write("x.jsonl", "{\"y\": 1}\n");
  EXPECT_THAT(Values(raw.File("x.jsonl"), "x")[0],
              ::testing::AllOf(::testing::HasSubstr("x.jsonl: no column \"x\""),
                               ::testing::HasSubstr("one of the first objects")));
}

TEST(JsonLinesReaderTest, IsPreparedAsTheSameRowsInParquet) {
  const RawFolder raw;
  raw.Write("x.jsonl",
            "{\"user_id\": 1, \"item_id\": \"b\", \"t\": \"2024-01-02\", \"w\": 2}\n"
            "{\"user_id\": 1, \"item_id\": \"a\", \"t\": \"2024-01-01\"}\n"
            "{\"user_id\": 2, \"item_id\": \"a\", \"t\": \"2024-01-01 10:00\", \"w\": 0.5}\n");
  raw.Write("items.jsonl",
            "{\"item_id\": \"a\", \"tags\": [\"x\", \"y\"], \"price\": 5}\n"
            "{\"item_id\": \"b\", \"tags\": [], \"price\": 1.5}\n");
  raw.WriteParquet("x.parquet",
                   {{"user_id", testing::Int64s({1, 1, 2})},
                    {"item_id", testing::Strings({"b", "a", "a"})},
                    {"t", testing::Strings({"2024-01-02", "2024-01-01", "2024-01-01 10:00"})},
                    {"w", testing::Doubles({2, std::nullopt, 0.5})}});
  raw.WriteParquet("items.parquet", {{"item_id", testing::Strings({"a", "b"})},
                                     {"tags", testing::ListsOf<arrow::StringBuilder, std::string>(
                                                  {{{"x", "y"}}, {std::vector<std::string>()}})},
                                     {"price", testing::Doubles({5, 1.5})}});
  const auto digest = [&](const std::string& ending) {
    const auto dataset = raw.PrepareAndOpen(
        absl::StrCat(R"(interactions { path: "$D/x.)", ending, R"(" time: "t" weight: "w" }
           items { path: "$D/items.)",
                     ending, R"(" feature { column: "tags" categorical {} }
                   feature { column: "price" numeric {} } })"));
    EXPECT_NE(dataset, nullptr);
    return dataset == nullptr ? ending : dataset->digest();
  };

  EXPECT_EQ(digest("jsonl"), digest("parquet"));
}

TEST(JsonLinesReaderTest, BadLinesAreBadRows) {
  const RawFolder raw;
  raw.Write("x.jsonl",
            "nonsense\n"
            "{\"user_id\": 1, \"item_id\": 10}\n"
            "{\"user_id\": 1, \"item_id\"\n"
            "{\"user_id\": 2.5, \"item_id\": 11}\n"
            "{\"user_id\": 1, \"item_id\": 12}\n"
            "{\"user_id\": 1}\n");
  const std::string config = R"(interactions { path: "$D/x.jsonl" max_bad_rows: )";

  const auto dataset = PrepareForAMoment(raw, absl::StrCat(config, 4, " }"));
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10 12"));
  EXPECT_EQ(dataset->meta().read_rows(), 6);
  EXPECT_EQ(dataset->meta().dropped_as_bad(), 4);
  ExpectError(raw, absl::StrCat(config, 3, " }"), ExitCode::kData,
              {"x.jsonl:6: column \"item_id\": the id is missing", "the first was ",
               "x.jsonl:1: JSON parse error"});
}

}  // namespace
}  // namespace torii::data
