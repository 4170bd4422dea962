#include "data/read/table_reader.h"

#include <cmath>
#include <string>
#include <vector>

#include "arrow/io/compressed.h"
#include "arrow/util/compression.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/read/column_values.h"
#include "data/read/glob.h"
#include "data/read/input_files.h"
#include "data/read/uri_file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::AllOf;
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
                   const FileFormat& format = {}) {
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
      FindInputFiles(LocalFiles(), std::vector<std::string>{raw.File("a.parquet")}, {}, "path");

  const auto reader = ReadAhead(ConcatenateTables(LocalFiles(), *inputs, {"x"}), 1);

  EXPECT_TRUE(reader->Next().ok());
}

TEST(TableReaderTest, AReadAheadGivesAnErrorAgainAndAgain) {
  const RawFolder raw;
  raw.Write("a.csv", "x\n1\n");
  const auto inputs =
      FindInputFiles(LocalFiles(), std::vector<std::string>{raw.File("a.csv")}, {}, "path");
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

// The files that `paths` (below the folder) name, relative to the folder.
absl::StatusOr<std::vector<std::string>> Found(const RawFolder& raw,
                                               const std::vector<std::string>& paths) {
  std::vector<std::string> full;
  for (const std::string& path : paths) {
    full.push_back(raw.File(path));
  }
  TORII_ASSIGN_OR_RETURN(const auto inputs, FindInputFiles(LocalFiles(), full, {}, "path"));
  std::vector<std::string> found;
  for (const InputFile& input : inputs) {
    found.push_back(input.path.substr(raw.path().size() + 1));
  }
  return found;
}

void WriteAll(const RawFolder& raw, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    ASSERT_TRUE(LocalFiles().MakeDirectories(ParentPath(raw.File(name))).ok());
    raw.Write(name, "x\n1\n");
  }
}

TEST(InputFilesTest, ExpandsGlobsSortedAcrossFolders) {
  const RawFolder raw;
  WriteAll(raw, {"d2/b.csv", "d1/c.csv", "d1/a.csv", "d1/.a.csv", "d1/a.tsv"});

  EXPECT_THAT(*Found(raw, {"d?/*.csv"}), ElementsAre("d1/a.csv", "d1/c.csv", "d2/b.csv"));
}

TEST(InputFilesTest, TwoStarsMeanAnyDepthAndAFolderMeansItsDataFiles) {
  const RawFolder raw;
  WriteAll(raw, {"a.csv", "y/b.csv", "y/z/c.csv", "y/z/_tmp/d.csv", "y/_SUCCESS.csv", "y/.e.csv"});

  EXPECT_THAT(*Found(raw, {"**/*.csv"}),
              ElementsAre("a.csv", "y/_SUCCESS.csv", "y/b.csv", "y/z/c.csv", "y/z/_tmp/d.csv"));
  EXPECT_THAT(*Found(raw, {"y/**/c.csv"}), ElementsAre("y/z/c.csv"));
  EXPECT_THAT(*Found(raw, {"y"}), ElementsAre("y/b.csv", "y/z/c.csv"));
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("nothing/_temporary")).ok());
  EXPECT_THAT(std::string(Found(raw, {"nothing"}).status().message()),
              HasSubstr("nothing: the folder has no data files (path)"));
}

TEST(InputFilesTest, RefusesAFileThatIsNamedTwice) {
  const RawFolder raw;
  WriteAll(raw, {"a.csv", "b.csv"});

  EXPECT_THAT(std::string(Found(raw, {"b.csv", "*.csv"}).status().message()),
              AllOf(HasSubstr("b.csv: is named twice"), HasSubstr("would count twice")));
}

TEST(InputFilesTest, FoldersGiveColumnsToTheRowsBelowThem) {
  const RawFolder raw;
  WriteAll(raw, {"t/date=2026-01-01/kind=a%3Ab/x.csv", "t/date=__HIVE_DEFAULT_PARTITION__/x.csv"});

  const std::vector<std::string> paths = {raw.File("t")};
  EXPECT_THAT(ReadAll(paths, "date").values, ElementsAre("2026-01-01", "-"));
  EXPECT_THAT(PartitionsOf("t/date=2026-01-01/kind=a%3Ab/x.csv"),
              ElementsAre(PartitionColumn("date", "2026-01-01"), PartitionColumn("kind", "a:b")));
  // A column of the file is not replaced.
  EXPECT_THAT(ReadAll(paths, "x").values, ElementsAre("1", "1"));
}

TEST(TableReaderTest, DelimitersQuotesNamesAndMissingWordsAreAsConfigured) {
  const RawFolder raw;
  raw.Write("semicolon.csv", "x;y\n1;\"a;b\"\nNULL;NA\n");
  raw.Write("ratings.dat", "1::1193::5\n2::661::3\n");
  raw.Write("x.tsv", "x\ty\n1\t\"12 inch mix\n2\tb\n");
  FileFormat format;
  format.text.delimiter = ";";
  format.text.null_values = {"NULL", "NA"};
  EXPECT_THAT(ReadAll({raw.File("semicolon.csv")}, "y", format).values, ElementsAre("a;b", "-"));

  format = {.format = CSV, .text = {}};
  format.text.delimiter = "::";
  format.text.column_names = {"user", "item", "rating"};
  const ReadColumn dat = ReadAll({raw.File("ratings.dat")}, "item", format);
  EXPECT_THAT(dat.values, ElementsAre("1193", "661"));
  EXPECT_THAT(dat.first_rows, ElementsAre(1));

  EXPECT_THAT(ReadAll({raw.File("x.tsv")}, "y").values, ElementsAre("\"12 inch mix", "b"));
}

TEST(TableReaderTest, ALongDelimiterMayLieAcrossBlocks) {
  const RawFolder raw;
  std::string text;
  for (int i = 0; i < 100'000; ++i) {
    absl::StrAppend(&text, i, "|:|", i % 7, "\n");
  }
  raw.Write("x.dat", text);
  FileFormat format{.format = CSV, .text = {}};
  format.text.delimiter = "|:|";
  format.text.column_names = {"a", "b"};

  const ReadColumn column = ReadAll({raw.File("x.dat")}, "b", format);

  ASSERT_EQ(column.values.size(), 100'000U);
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(column.values[static_cast<size_t>(i)], std::to_string(i % 7)) << i;
  }
}

TEST(TableReaderTest, DecodesTheEncodingThatIsConfigured) {
  const RawFolder raw;
  raw.Write("latin.csv", "n\xe4me\nZo\xeb\n");
  raw.Write("sjis.csv", "x\n\x93\xfa\x96\x7b\n");
  raw.Write("utf16.csv", std::string("\xff\xfex\0\n\0\xe4\0\n\0", 10));
  FileFormat format;
  format.text.encoding = "ISO-8859-1";
  EXPECT_THAT(ReadAll({raw.File("latin.csv")}, "näme", format).values, ElementsAre("Zoë"));
  format.text.encoding = "Shift_JIS";
  EXPECT_THAT(ReadAll({raw.File("sjis.csv")}, "x", format).values, ElementsAre("日本"));
  format.text.encoding = "UTF-16";
  EXPECT_THAT(ReadAll({raw.File("utf16.csv")}, "x", format).values, ElementsAre("ä"));
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
    return Column{std::move(array), std::make_shared<const std::string>("f"), "c"};
  };
  const auto expect = [&](const std::shared_ptr<arrow::Array>& array) {
    const auto integers = ReadIntegers(column(array), IntegerText::kAny, "");
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

  const auto large =
      ReadIntegers(column(testing::ArrayOf<arrow::UInt64Builder, uint64_t>({1, uint64_t{1} << 63})),
                   IntegerText::kAny, "");
  ASSERT_FALSE(large.ok());
  EXPECT_THAT(std::string(large.status().message()), HasSubstr("f:2: column \"c\""));
}

TEST(ColumnValuesTest, ReadsNumbersOfEveryKind) {
  const auto numbers = [](std::shared_ptr<arrow::Array> array) {
    const auto read =
        ReadNumbers({std::move(array), std::make_shared<const std::string>("f"), "c"});
    EXPECT_TRUE(read.ok()) << read.status();
    return *read;
  };
  arrow::Decimal128Builder decimal(arrow::decimal128(10, 2));
  ASSERT_TRUE(decimal.Append(arrow::Decimal128(999)).ok());
  EXPECT_THAT(numbers(decimal.Finish().ValueOrDie()), ElementsAre(9.99));
  EXPECT_THAT(numbers(Strings({"True", "false", "+1.5", " 2 "})), ElementsAre(1, 0, 1.5, 2));
  EXPECT_THAT(numbers(testing::ArrayOf<arrow::BooleanBuilder, bool>({true, false})),
              ElementsAre(1, 0));
  arrow::Date32Builder date;
  ASSERT_TRUE(date.Append(2).ok());
  EXPECT_THAT(numbers(date.Finish().ValueOrDie()), ElementsAre(2 * 86400));
}

TEST(ColumnValuesTest, FloatsAndDecimalsThatAreWholeNumbersAreIds) {
  const auto read = [](std::shared_ptr<arrow::Array> array) {
    return ReadIntegers({std::move(array), std::make_shared<const std::string>("f"), "c"},
                        IntegerText::kAny, "");
  };
  const auto floats = read(testing::Doubles({3, std::nullopt, -4}));
  ASSERT_TRUE(floats.ok()) << floats.status();
  EXPECT_THAT(floats->values, ElementsAre(3, 0, -4));
  EXPECT_TRUE(floats->is_missing(1));
  EXPECT_THAT(std::string(read(testing::Doubles({3, 4.5})).status().message()),
              HasSubstr("f:2: column \"c\": value 4.5 is not a whole number"));
  EXPECT_FALSE(read(testing::Doubles({std::ldexp(1, 60)})).ok());
  arrow::Decimal128Builder decimal(arrow::decimal128(38, 0));
  ASSERT_TRUE(decimal.Append(arrow::Decimal128(7)).ok());
  EXPECT_THAT(read(decimal.Finish().ValueOrDie())->values, ElementsAre(7));
}

TEST(ColumnValuesTest, TextThatIsNotUtf8IsAnErrorWithItsRow) {
  const auto texts = ReadTexts(
      {Strings({"Zoë", "Zo\xeb"}), std::make_shared<const std::string>("f.csv"), "name", 2, false});
  ASSERT_FALSE(texts.ok());
  EXPECT_THAT(std::string(texts.status().message()),
              AllOf(HasSubstr("f.csv:3: column \"name\": value \"Zo\\xeb\" is not valid UTF-8"),
                    HasSubstr("set `encoding`")));
}

}  // namespace
}  // namespace torii::data
