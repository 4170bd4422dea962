#include "data/rows/row_condition.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "arrow/api.h"
#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using testing::Doubles;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Int64s;
using testing::Strings;

constexpr char kField[] = "data.interactions.where";

// Columns of a file, which has types or not.
class Table {
 public:
  explicit Table(std::map<std::string, std::shared_ptr<arrow::Array>> columns, bool typed = true)
      : columns_(std::move(columns)), typed_(typed) {}

  absl::StatusOr<std::vector<uint8_t>> Holds(const std::string& text) const {
    const auto condition = RowCondition::Parse(text, kField);
    EXPECT_TRUE(condition.ok()) << condition.status();
    return condition->Holds(columns_.begin()->second->length(), [&](const std::string& name) {
      Column column;
      column.array = columns_.at(name);
      column.file = std::make_shared<const std::string>("x.csv");
      column.name = name;
      column.first_row = 2;
      column.typed = typed_;
      return column;
    });
  }
  // "101": one character for each row; or the message of the error.
  std::string Rows(const std::string& text) const {
    const auto holds = Holds(text);
    if (!holds.ok()) return std::string(holds.status().message());
    std::string rows;
    for (const uint8_t row : *holds) rows += row != 0 ? '1' : '0';
    return rows;
  }

 private:
  std::map<std::string, std::shared_ptr<arrow::Array>> columns_;
  bool typed_;
};

TEST(RowConditionTest, ComparesNumbersOfEveryType) {
  const Table table(
      {{"i", Int64s({-1, 0, 5, std::nullopt})},
       {"d", Doubles({-1.5, -0.0, 5, std::nan("")})},
       {"t", Strings({"-1", "0.0", " 5", ""})},
       {"b", testing::ArrayOf<arrow::BooleanBuilder, bool>({true, false, true, std::nullopt})}});
  for (const char* column : {"i", "t"}) {
    const std::string name(column);
    EXPECT_EQ(table.Rows(name + " = 5"), "0010");
    EXPECT_EQ(table.Rows(name + " != 5"), "1100");
    EXPECT_EQ(table.Rows(name + " < 0"), "1000");
    EXPECT_EQ(table.Rows(name + " <= 0"), "1100");
    EXPECT_EQ(table.Rows(name + " > -1"), "0110");
    EXPECT_EQ(table.Rows(name + " >= -1"), "1110");
    EXPECT_EQ(table.Rows(name + " in (5, -1)"), "1010");
    EXPECT_EQ(table.Rows(name + " not in (5, -1)"), "0100");
  }
  EXPECT_EQ(table.Rows("d in (0, 5)"), "0110");
  EXPECT_EQ(table.Rows("d = 0"), "0100");
  EXPECT_EQ(table.Rows("b = true"), "1010");
  EXPECT_EQ(table.Rows("b != true"), "0100");
}

TEST(RowConditionTest, ComparesTextsByTheirBytes) {
  const Table table({{"e", Strings({"buy", "view", "", std::nullopt})},
                     {"i", Int64s({7, 10, 9007199254740993, std::nullopt})}});
  EXPECT_EQ(table.Rows("e = 'buy'"), "1000");
  EXPECT_EQ(table.Rows("e != 'buy'"), "0110");
  EXPECT_EQ(table.Rows("e > 'buy'"), "0100");
  EXPECT_EQ(table.Rows("e in ('view', '')"), "0110");
  EXPECT_EQ(table.Rows("i = '9007199254740993'"), "0010");
  EXPECT_EQ(table.Rows("i not in ('7', '8')"), "0110");
}

TEST(RowConditionTest, ComparesDictionariesAndMoments) {
  const auto indices = testing::ArrayOf<arrow::Int32Builder, int32_t>({1, 0, std::nullopt});
  arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MILLI),
                                arrow::default_memory_pool());
  ASSERT_TRUE(times.AppendValues({1704067200000, 1704067199999}).ok());
  ASSERT_TRUE(times.AppendNull().ok());
  const Table table(
      {{"e", arrow::DictionaryArray::FromArrays(indices, Strings({"buy", "view"})).ValueOrDie()},
       {"t", times.Finish().ValueOrDie()}});
  EXPECT_EQ(table.Rows("e = 'view'"), "100");
  EXPECT_EQ(table.Rows("e is null"), "001");
  EXPECT_EQ(table.Rows("t >= '2024-01-01'"), "100");
  EXPECT_EQ(table.Rows("t < '2024-01-01T00:00:00Z'"), "010");
  EXPECT_EQ(table.Rows("t in ('2024-01-01 01:00 +01:00')"), "100");
  EXPECT_EQ(table.Rows("t < 1704067200"), "010");
  EXPECT_THAT(table.Rows("t > 'yesterday'"),
              HasSubstr("column \"t\": has times; \"yesterday\" is no time"));
}

// Every pair of true, false and unknown, as in SQL.
TEST(RowConditionTest, UnknownIsNeitherTrueNorFalse) {
  const Table table({{"a", Int64s({1, 1, 1, 0, 0, 0, std::nullopt, std::nullopt, std::nullopt})},
                     {"b", Int64s({1, 0, std::nullopt, 1, 0, std::nullopt, 1, 0, std::nullopt})}});
  EXPECT_EQ(table.Rows("a = 1 and b = 1"), "100000000");
  EXPECT_EQ(table.Rows("not (a = 1 and b = 1)"), "010111010");
  EXPECT_EQ(table.Rows("a = 1 or b = 1"), "111100100");
  EXPECT_EQ(table.Rows("not (a = 1 or b = 1)"), "000010000");
  EXPECT_EQ(table.Rows("a = 1 or not a = 1"), "111111000");
  EXPECT_EQ(table.Rows("a is null or b is not null"), "110110111");
}

TEST(RowConditionTest, NaNAndAColumnOfNothingAreMissing) {
  const Table table({{"d", Doubles({1, std::nan(""), std::nullopt})},
                     {"n", arrow::MakeArrayOfNull(arrow::null(), 3).ValueOrDie()}});
  EXPECT_EQ(table.Rows("d is null"), "011");
  EXPECT_EQ(table.Rows("n is null"), "111");
  EXPECT_EQ(table.Rows("n = 1 or n = 'x'"), "000");
}

TEST(RowConditionTest, NoRowsGiveNoAnswers) {
  const Table table({{"a", Int64s({})}, {"e", Strings({})}});
  EXPECT_EQ(table.Rows("a > 1 and (e in ('x') or a is null)"), "");
}

TEST(RowConditionTest, AnErrorNamesRowColumnAndPlace) {
  const Table table({{"price", Strings({"1", "cheap"})}, {"i", Int64s({1, 2})}});
  EXPECT_EQ(table.Rows("i = 1 or price > 0"),
            "x.csv:3: column \"price\": value \"cheap\" is not a number (data.interactions.where, "
            "character 10)");
  EXPECT_EQ(table.Rows("i < '5'"),
            "x.csv: column \"i\": has type int64; compare it with a number, without quotes "
            "(data.interactions.where, character 1)");
  EXPECT_EQ(ExitCodeOf(table.Holds("price > 0").status()), ExitCode::kData);
  // Without types any text may be compared.
  const Table untyped({{"price", Strings({"1", "cheap"})}}, /*typed=*/false);
  EXPECT_EQ(untyped.Rows("price > '5'"), "01");
  EXPECT_EQ(std::string(RowCondition::Parse("i <", kField).status().message()).substr(0, 36),
            "data.interactions.where: character 4");
}

TEST(RowConditionTest, NamesEachColumnOnce) {
  EXPECT_THAT(RowCondition::Parse("b = 1 and (a = 1 or not b > 2)", kField)->columns(),
              ElementsAre("b", "a"));
}

}  // namespace
}  // namespace torii::data
