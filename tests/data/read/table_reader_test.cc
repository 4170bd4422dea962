#include "data/read/table_reader.h"

#include <string>
#include <vector>

#include "arrow/io/compressed.h"
#include "arrow/util/compression.h"
#include "base/exit_code.h"
#include "data/read/column_values.h"
#include "data/read/input_files.h"
#include "data/read/time_column.h"
#include "data/read/uri_file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Int64s;
using testing::RawFolder;
using testing::Strings;

// All values of one column as text ("-": missing), and the row numbers of the chunks.
struct ReadColumn {
  std::vector<std::string> values;
  std::vector<int64_t> first_rows;
};

ReadColumn ReadAll(const std::vector<std::string>& paths, const std::string& column,
                   Format format = AUTO) {
  ReadColumn result;
  auto inputs = FindInputFiles(LocalFiles(), paths, format, "path");
  EXPECT_TRUE(inputs.ok()) << inputs.status();
  const auto reader = ReadAhead(ConcatenateTables(LocalFiles(), *inputs, {column}), 2);
  while (true) {
    const auto chunk = reader->Next();
    EXPECT_TRUE(chunk.ok()) << chunk.status();
    if (!chunk.ok() || !chunk->has_value()) {
      return result;
    }
    result.first_rows.push_back((*chunk)->first_row);
    const auto texts = ReadTexts(ColumnOf(**chunk, 0, column));
    EXPECT_TRUE(texts.ok()) << texts.status();
    for (const std::string_view text : texts->values) {
      result.values.emplace_back(text.data() == nullptr ? "-" : text);
    }
  }
}

void WriteCompressed(const RawFolder& raw, const std::string& name, const std::string& text,
                     arrow::Compression::type type) {
  const auto codec = arrow::util::Codec::Create(type).ValueOrDie();
  const auto file = arrow::io::FileOutputStream::Open(raw.File(name)).ValueOrDie();
  const auto out = arrow::io::CompressedOutputStream::Make(codec.get(), file).ValueOrDie();
  ASSERT_TRUE(out->Write(text.data(), static_cast<int64_t>(text.size())).ok());
  ASSERT_TRUE(out->Close().ok());
}

TEST(TableReaderTest, ReadsDelimitedTextAsText) {
  const RawFolder raw;
  raw.Write("a.csv", "n,x\r\n1,007\r\n2,\r\n\r\n3,\"q,\"\"\"\r\n");
  raw.Write("b.tsv", "x\tn\na,b\t1\n");

  const ReadColumn csv = ReadAll({raw.File("a.csv")}, "x");

  EXPECT_THAT(csv.values, ElementsAre("007", "-", "q,\""));
  EXPECT_THAT(csv.first_rows, ElementsAre(2));
  EXPECT_THAT(ReadAll({raw.File("b.tsv")}, "x").values, ElementsAre("a,b"));
}

TEST(TableReaderTest, ReadsCompressedText) {
  const RawFolder raw;
  const std::string text = "x\n1\n2\n";
  WriteCompressed(raw, "a.csv.gz", text, arrow::Compression::GZIP);
  WriteCompressed(raw, "b.csv.zst", text, arrow::Compression::ZSTD);
  WriteCompressed(raw, "c.csv.bz2", text, arrow::Compression::BZ2);
  WriteCompressed(raw, "d.csv.lz4", text, arrow::Compression::LZ4_FRAME);

  for (const char* name : {"a.csv.gz", "b.csv.zst", "c.csv.bz2", "d.csv.lz4"}) {
    EXPECT_THAT(ReadAll({raw.File(name)}, "x").values, ElementsAre("1", "2")) << name;
  }
}

TEST(TableReaderTest, ReadsRowGroupsAndFilesInOrderWithRowNumbersOfEachFile) {
  const RawFolder raw;
  raw.WriteParquet("a.parquet", {{"y", Int64s({0, 0, 0, 0, 0})}, {"x", Int64s({1, 2, 3, 4, 5})}},
                   2);
  raw.WriteParquet("b.parquet", {{"x", Int64s({6})}, {"z", Strings({"s"})}});
  raw.WriteParquet("empty.parquet", {{"x", Int64s({})}});

  const ReadColumn column =
      ReadAll({raw.File("a.parquet"), raw.File("empty.parquet"), raw.File("b.parquet")}, "x");

  EXPECT_THAT(column.values, ElementsAre("1", "2", "3", "4", "5", "6"));
  EXPECT_THAT(column.first_rows, ElementsAre(1, 3, 5, 1));
}

TEST(TableReaderTest, DestroyingAReadAheadBeforeItsEndStopsTheThread) {
  const RawFolder raw;
  raw.WriteParquet("a.parquet", {{"x", Int64s({1, 2, 3, 4, 5})}}, 1);
  const auto inputs =
      FindInputFiles(LocalFiles(), std::vector<std::string>{raw.File("a.parquet")}, AUTO, "path");

  const auto reader = ReadAhead(ConcatenateTables(LocalFiles(), *inputs, {"x"}), 1);

  EXPECT_TRUE(reader->Next().ok());
}

TEST(TableReaderTest, AReadAheadGivesAnErrorAgainAndAgain) {
  const RawFolder raw;
  raw.Write("a.csv", "x\n1\n");
  const auto inputs =
      FindInputFiles(LocalFiles(), std::vector<std::string>{raw.File("a.csv")}, AUTO, "path");
  const auto reader = ReadAhead(ConcatenateTables(LocalFiles(), *inputs, {"y"}), 1);

  EXPECT_FALSE(reader->Next().ok());
  EXPECT_FALSE(reader->Next().ok());
}

TEST(InputFilesTest, MatchesGlobs) {
  EXPECT_TRUE(MatchesGlob("part-001.csv", "part-*.csv"));
  EXPECT_TRUE(MatchesGlob("", "*"));
  EXPECT_TRUE(MatchesGlob("abc", "a?c"));
  EXPECT_TRUE(MatchesGlob("b1", "[a-c][!2-9]"));
  EXPECT_FALSE(MatchesGlob("b2", "[a-c][!2-9]"));
  EXPECT_FALSE(MatchesGlob("part-001.csv.gz", "part-*.csv"));
  EXPECT_FALSE(MatchesGlob("a/b", "*"));
  EXPECT_FALSE(MatchesGlob("abc", "abcd"));
}

TEST(InputFilesTest, ExpandsGlobsSortedAcrossFolders) {
  const RawFolder raw;
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("d1")).ok());
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("d2")).ok());
  for (const char* name : {"d2/b.csv", "d1/c.csv", "d1/a.csv", "d1/.a.csv", "d1/a.tsv"}) {
    raw.Write(name, "x\n");
  }

  const auto inputs = FindInputFiles(
      LocalFiles(), std::vector<std::string>{raw.File("d2/b.csv"), raw.File("d?/*.csv")}, AUTO,
      "path");

  ASSERT_TRUE(inputs.ok()) << inputs.status();
  std::vector<std::string> paths;
  for (const InputFile& input : *inputs) {
    paths.push_back(input.path.substr(raw.path().size() + 1));
  }
  EXPECT_THAT(paths, ElementsAre("d2/b.csv", "d1/a.csv", "d1/c.csv", "d2/b.csv"));
}

TEST(InputFilesTest, TellsParquetByItsFirstBytesWhereTheNameDoesNot) {
  const RawFolder raw;
  raw.WriteParquet("x.parquet.brotli", {{"x", Int64s({1})}});
  raw.WriteParquet("part-0", {{"x", Int64s({2})}});

  EXPECT_THAT(ReadAll({raw.File("x.parquet.brotli"), raw.File("part-0")}, "x").values,
              ElementsAre("1", "2"));
}

TEST(UriFileSystemTest, ReadsThroughArrowsFileSystemsAndRefusesToWrite) {
  const RawFolder raw;
  raw.Write("a.csv", "x\n1\n");
  const auto files = OpenUriFileSystem(LocalFiles());

  EXPECT_EQ(*ReadFile(*files, "file://" + raw.File("a.csv")), "x\n1\n");
  EXPECT_TRUE(IsUri("s3://bucket/a"));
  EXPECT_FALSE(IsUri("a/b://c"));
  EXPECT_FALSE(IsUri("/a"));
  // Arrow's in-memory file system stands in for a remote one.
  const auto info = files->Info("mock:///missing");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_FALSE(info->exists);
  EXPECT_EQ(ExitCodeOf(files->Create("mock:///x").status()), ExitCode::kCannotCreate);
  EXPECT_FALSE(files->OpenForReading("nosuchscheme://x").ok());
}

TEST(ColumnValuesTest, ReadsIdsOfEveryIntegerTypeAndDictionaries) {
  const auto column = [](std::shared_ptr<arrow::Array> array) {
    return Column{std::move(array), std::make_shared<const std::string>("f"), "c", 1};
  };
  const auto expect = [&](const std::shared_ptr<arrow::Array>& array) {
    const auto integers = ReadIntegers(column(array), "");
    ASSERT_TRUE(integers.ok()) << integers.status();
    EXPECT_EQ(integers->values[0], 3) << array->type()->ToString();
    EXPECT_TRUE(integers->is_missing(1)) << array->type()->ToString();
    const auto texts = ReadTexts(column(array));
    ASSERT_TRUE(texts.ok());
    EXPECT_EQ(texts->values[0], "3") << array->type()->ToString();
    EXPECT_EQ(texts->values[1].data(), nullptr);
  };

  expect(testing::ArrayOf<arrow::Int8Builder, int8_t>({3, std::nullopt}));
  expect(testing::ArrayOf<arrow::UInt16Builder, uint16_t>({3, std::nullopt}));
  expect(testing::ArrayOf<arrow::Int32Builder, int32_t>({3, std::nullopt}));
  expect(testing::ArrayOf<arrow::UInt64Builder, uint64_t>({3, std::nullopt}));
  expect(testing::ArrayOf<arrow::LargeStringBuilder, std::string>({"3", std::nullopt}));
  expect(testing::ArrayOf<arrow::BinaryBuilder, std::string>({"3", std::nullopt}));
  expect(testing::ArrayOf<arrow::StringDictionaryBuilder, std::string>({"3", std::nullopt}));
  expect(testing::ArrayOf<arrow::DictionaryBuilder<arrow::Int64Type>, int64_t>({3, std::nullopt}));

  const auto large = ReadIntegers(
      column(testing::ArrayOf<arrow::UInt64Builder, uint64_t>({1, uint64_t{1} << 63})), "");
  ASSERT_FALSE(large.ok());
  EXPECT_THAT(std::string(large.status().message()), HasSubstr("f:2: column \"c\""));
}

TEST(TimeColumnTest, ReadsNumbersTimestampsAndDates) {
  const auto read = [](std::shared_ptr<arrow::Array> array) {
    TimeKind kind = TimeKind::kUnknown;
    const Column column{std::move(array), std::make_shared<const std::string>("f"), "t", 1};
    const auto keys = ReadTimes(column, &kind);
    EXPECT_TRUE(keys.ok()) << keys.status();
    std::vector<int64_t> times;
    for (const int64_t key : *keys) {
      times.push_back(TimeOfKey(key, kind));
    }
    return times;
  };

  EXPECT_THAT(read(Int64s({5, -7})), ElementsAre(5, -7));
  EXPECT_THAT(read(Strings({"5", " -7"})), ElementsAre(5, -7));
  EXPECT_THAT(read(Strings({"5.5", "-7"})), ElementsAre(5, -7));
  EXPECT_THAT(read(Strings({"1970-01-02", "1970-01-01T00:00:01.5", "1970-01-01 01:00:00+01:00"})),
              ElementsAre(86'400'000'000, 1'500'000, 0));
  arrow::TimestampBuilder builder(arrow::timestamp(arrow::TimeUnit::MILLI),
                                  arrow::default_memory_pool());
  ASSERT_TRUE(builder.Append(1234).ok());
  EXPECT_THAT(read(builder.Finish().ValueOrDie()), ElementsAre(1234));
}

}  // namespace
}  // namespace torii::data
