// Random tables, written by Arrow and read back: every value is the one that was written.
// TORII_RANDOM_TABLES=10000 makes the test long.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "data/read/column_values.h"
#include "data/read/time_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "parquet/arrow/writer.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using Random = std::mt19937_64;

int64_t NumberOfTables() {
  const char* const wanted = std::getenv("TORII_RANDOM_TABLES");
  return wanted == nullptr ? 200 : std::atoll(wanted);
}

// A column as it is written, and what its values are as text and as numbers.
struct Written {
  std::shared_ptr<arrow::Array> array;
  std::vector<std::optional<std::string>> texts;
  std::vector<std::optional<double>> numbers;  // empty: the column has none
};

// Appends random values with `builder`, every fifth of them missing.
template <typename Builder, typename Draw>
Written Fill(Builder& builder, int64_t rows, Random& random, const Draw& draw) {
  Written written;
  for (int64_t i = 0; i < rows; ++i) {
    if (random() % 5 == 0) {
      EXPECT_TRUE(builder.AppendNull().ok());
      written.texts.emplace_back();
      written.numbers.emplace_back();
      continue;
    }
    const auto [value, text, number] = draw();
    EXPECT_TRUE(builder.Append(value).ok());
    written.texts.emplace_back(text);
    written.numbers.emplace_back(number);
  }
  written.array = builder.Finish().ValueOrDie();
  return written;
}

template <typename T>
struct Drawn {
  T value;
  std::string text;
  double number;
};

template <typename Type>
Written Integers(int64_t rows, Random& random) {
  using T = typename Type::c_type;
  typename arrow::TypeTraits<Type>::BuilderType builder;
  return Fill(builder, rows, random, [&] {
    const T value = static_cast<T>(random() >> (random() % 64));
    return Drawn<T>{value, std::to_string(value), static_cast<double>(value)};
  });
}

template <typename Builder>
Written Texts(int64_t rows, Random& random) {
  const std::vector<std::string> pieces = {"a",    "\"", ",", "\n",  "ä",
                                           "日本", " ",  "'", "x;y", "\t"};
  Builder builder;
  Written written = Fill(builder, rows, random, [&] {
    std::string text = "t";
    for (uint64_t k = random() % 6; k > 0; --k) {
      text += pieces[random() % pieces.size()];
    }
    return Drawn<std::string>{text, text, 0};
  });
  written.numbers.clear();
  return written;
}

Written Booleans(int64_t rows, Random& random) {
  arrow::BooleanBuilder builder;
  return Fill(builder, rows, random, [&] {
    const bool value = random() % 2 == 0;
    return Drawn<bool>{value, value ? "true" : "false", value ? 1.0 : 0.0};
  });
}

Written Decimals(int64_t rows, Random& random) {
  const auto scale = static_cast<int32_t>(random() % 4);
  arrow::Decimal128Builder builder(arrow::decimal128(18, scale));
  return Fill(builder, rows, random, [&] {
    const arrow::Decimal128 value(static_cast<int64_t>(random() % 2'000'000) - 1'000'000);
    return Drawn<arrow::Decimal128>{value, value.ToString(scale), value.ToDouble(scale)};
  });
}

Written Timestamps(int64_t rows, Random& random) {
  const auto unit = static_cast<arrow::TimeUnit::type>(1 + random() % 3);  // Parquet has no seconds
  const int64_t per_second = unit == arrow::TimeUnit::MILLI   ? 1'000
                             : unit == arrow::TimeUnit::MICRO ? 1'000'000
                                                              : 1'000'000'000;
  arrow::TimestampBuilder builder(arrow::timestamp(unit, random() % 2 == 0 ? "UTC" : ""),
                                  arrow::default_memory_pool());
  return Fill(builder, rows, random, [&] {
    const int64_t second = static_cast<int64_t>(random() % 8'000'000'000) - 4'000'000'000;
    return Drawn<int64_t>{second * per_second, TimeText(second * 1'000'000),
                          static_cast<double>(second)};
  });
}

Written Dates(int64_t rows, Random& random) {
  arrow::Date32Builder builder;
  return Fill(builder, rows, random, [&] {
    const auto day = static_cast<int32_t>(random() % 80'000) - 40'000;
    return Drawn<int32_t>{day, TimeText(day * int64_t{86'400'000'000}), day * 86'400.0};
  });
}

Written AnyColumn(int64_t rows, Random& random) {
  const std::vector<std::function<Written(int64_t, Random&)>> kinds = {
      Integers<arrow::Int8Type>,
      Integers<arrow::Int16Type>,
      Integers<arrow::Int32Type>,
      Integers<arrow::Int64Type>,
      Integers<arrow::UInt8Type>,
      Integers<arrow::UInt16Type>,
      Integers<arrow::UInt32Type>,
      Integers<arrow::UInt64Type>,
      Texts<arrow::StringBuilder>,
      Texts<arrow::LargeStringBuilder>,
      Texts<arrow::BinaryBuilder>,
      Texts<arrow::StringDictionaryBuilder>,
      Booleans,
      Decimals,
      Timestamps,
      Dates};
  return kinds[random() % kinds.size()](rows, random);
}

void WriteParquet(const std::string& path, const std::vector<Written>& columns, Random& random) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (size_t k = 0; k < columns.size(); ++k) {
    fields.push_back(arrow::field(absl::StrCat("c", k), columns[k].array->type()));
    arrays.push_back(columns[k].array);
  }
  const std::vector<arrow::Compression::type> codecs = {
      arrow::Compression::UNCOMPRESSED, arrow::Compression::SNAPPY, arrow::Compression::ZSTD,
      arrow::Compression::GZIP};
  parquet::WriterProperties::Builder properties;
  properties.compression(codecs[random() % codecs.size()]);
  if (random() % 2 == 0) properties.disable_dictionary();
  parquet::ArrowWriterProperties::Builder arrow_properties;
  if (random() % 2 == 0) arrow_properties.store_schema();
  const auto out = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  const auto written = parquet::arrow::WriteTable(
      *arrow::Table::Make(arrow::schema(fields), arrays), arrow::default_memory_pool(), out,
      static_cast<int64_t>(1 + random() % 50), properties.build(), arrow_properties.build());
  ASSERT_TRUE(written.ok()) << written.ToString();
  ASSERT_TRUE(out->Close().ok());
}

// RFC 4180, with quotes where they are needed and sometimes where they are not.
void WriteCsv(const std::string& path, const std::vector<Written>& columns, Random& random) {
  std::string text;
  for (size_t k = 0; k < columns.size(); ++k) {
    absl::StrAppend(&text, k == 0 ? "" : ",", "c", k);
  }
  const char* const line_end = random() % 2 == 0 ? "\n" : "\r\n";
  text += line_end;
  for (size_t i = 0; i < columns[0].texts.size(); ++i) {
    for (size_t k = 0; k < columns.size(); ++k) {
      text += k == 0 ? "" : ",";
      const std::string value = columns[k].texts[i].value_or("");
      if (columns[k].texts[i].has_value() &&
          (random() % 4 == 0 || value.find_first_of("\",\n\r") != std::string::npos)) {
        text += '"';
        for (const char c : value) text += c == '"' ? "\"\"" : std::string(1, c);
        text += '"';
      } else {
        text += value;
      }
    }
    text += line_end;
  }
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, std::string_view(text)).ok());
}

// Reads the columns in another order and compares every cell.
void ExpectReadBack(const std::string& path, const std::vector<Written>& columns, Random& random) {
  std::vector<size_t> order(columns.size());
  for (size_t k = 0; k < order.size(); ++k) order[k] = k;
  std::shuffle(order.begin(), order.end(), random);
  std::vector<std::string> names;
  for (const size_t k : order) names.push_back(absl::StrCat("c", k));
  FileFormat format;
  format.text.max_quoted_lines = 100;  // random texts may look like rows
  const auto inputs = FindInputFiles(LocalFiles(), std::vector<std::string>{path}, format, "path");
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  const auto reader = ConcatenateTables(LocalFiles(), *inputs, names);
  size_t row = 0;
  while (true) {
    const auto chunk = reader->Next();
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    if (!chunk->has_value()) break;
    for (size_t place = 0; place < order.size(); ++place) {
      const Written& wanted = columns[order[place]];
      const Column column = ColumnOf(**chunk, place, names[place]);
      const auto texts = ReadTexts(column);
      ASSERT_TRUE(texts.ok()) << texts.status();
      for (size_t i = 0; i < texts->values.size(); ++i) {
        const std::string_view got = texts->values[i];
        ASSERT_EQ(got.data() != nullptr, wanted.texts[row + i].has_value());
        ASSERT_EQ(got, wanted.texts[row + i].value_or(""));
      }
      if (wanted.numbers.empty() || (!column.typed && IsMoment(*wanted.array))) continue;
      const auto numbers = ReadNumbers(column);
      ASSERT_TRUE(numbers.ok()) << numbers.status();
      for (size_t i = 0; i < numbers->size(); ++i) {
        ASSERT_EQ(std::isnan((*numbers)[i]), !wanted.numbers[row + i].has_value());
        if (std::isnan((*numbers)[i])) continue;
        // Decimals are divided by Arrow and parsed here: the last bit may differ.
        const double difference = (*numbers)[i] - *wanted.numbers[row + i];
        ASSERT_LE(std::abs(difference), 1e-15 * std::abs((*numbers)[i]));
      }
    }
    row += static_cast<size_t>((*chunk)->rows);
  }
  ASSERT_EQ(row, columns[0].texts.size());
}

TEST(RandomTablesTest, EveryValueIsTheOneThatWasWritten) {
  const testing::RawFolder raw;
  for (int64_t table = 0; table < NumberOfTables(); ++table) {
    SCOPED_TRACE(absl::StrCat("table ", table));
    Random random(static_cast<uint64_t>(table));
    const auto rows = static_cast<int64_t>(1 + random() % 130);
    std::vector<Written> columns;
    for (uint64_t k = 2 + random() % 5; k > 0; --k) {
      columns.push_back(AnyColumn(rows, random));
    }
    WriteParquet(raw.File("x.parquet"), columns, random);
    ExpectReadBack(raw.File("x.parquet"), columns, random);
    WriteCsv(raw.File("x.csv"), columns, random);
    ExpectReadBack(raw.File("x.csv"), columns, random);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace torii::data
