#include "data/read/time_column.h"

#include <map>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "data/read/time_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Int64s;
using testing::Strings;

constexpr int64_t kDay = 86'400'000'000;
// 2024-01-01 00:00:00 in microseconds.
constexpr int64_t kNewYear = 1'704'067'200'000'000;

using Files = std::vector<std::shared_ptr<arrow::Array>>;

Column ColumnIn(const std::string& file, std::shared_ptr<arrow::Array> array) {
  return {std::move(array), std::make_shared<const std::string>(file), "t"};
}

// The times of files f0, f1, ... as they are stored, one after the other.
absl::StatusOr<std::vector<int64_t>> TimesOf(const Files& files,
                                             TimeUnit unit = InteractionFiles::AUTO) {
  std::map<std::string, TimesSeen> seen;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string name = absl::StrCat("f", i);
    TORII_ASSIGN_OR_RETURN(seen[name], LookAtTimes(ColumnIn(name, files[i]), unit));
  }
  TORII_ASSIGN_OR_RETURN(const TimeReader reader, TimeReader::Make(seen, unit));
  std::vector<int64_t> times;
  for (size_t i = 0; i < files.size(); ++i) {
    TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> keys,
                           reader.Read(ColumnIn(absl::StrCat("f", i), files[i])));
    for (const int64_t key : keys) {
      times.push_back(reader.TimeOfKey(key));
    }
  }
  return times;
}

std::vector<int64_t> Times(const Files& files, TimeUnit unit = InteractionFiles::AUTO) {
  const auto times = TimesOf(files, unit);
  EXPECT_TRUE(times.ok()) << times.status();
  return times.ok() ? *times : std::vector<int64_t>();
}

std::string ErrorOf(const Files& files, TimeUnit unit = InteractionFiles::AUTO) {
  return std::string(TimesOf(files, unit).status().message());
}

std::shared_ptr<arrow::Array> Timestamps(arrow::TimeUnit::type unit, int64_t value,
                                         const std::string& zone = "") {
  arrow::TimestampBuilder builder(arrow::timestamp(unit, zone), arrow::default_memory_pool());
  EXPECT_TRUE(builder.Append(value).ok());
  return builder.Finish().ValueOrDie();
}

TEST(TimeColumnTest, EveryTypeOfDateBecomesMicroseconds) {
  arrow::Date32Builder date32;
  ASSERT_TRUE(date32.Append(19723).ok());
  arrow::Date64Builder date64;
  ASSERT_TRUE(date64.Append(kNewYear / 1000).ok());

  EXPECT_THAT(
      Times({Timestamps(arrow::TimeUnit::SECOND, kNewYear / 1'000'000),
             Timestamps(arrow::TimeUnit::MILLI, kNewYear / 1000, "UTC"),
             Timestamps(arrow::TimeUnit::MICRO, kNewYear),
             Timestamps(arrow::TimeUnit::NANO, kNewYear * 1000 + 999), date32.Finish().ValueOrDie(),
             date64.Finish().ValueOrDie(), Strings({"2024-01-01", "2024-01-01T01:00:00+01:00"}),
             Timestamps(arrow::TimeUnit::NANO, -1)}),
      ElementsAre(kNewYear, kNewYear, kNewYear, kNewYear, kNewYear, kNewYear, kNewYear, kNewYear,
                  -1));
}

TEST(TimeColumnTest, NumbersHaveTheUnitThatMakesThemDates) {
  EXPECT_THAT(
      Times({Int64s({kNewYear / 1'000'000}), Int64s({kNewYear / 1000}), Int64s({kNewYear}),
             Int64s({kNewYear * 1000}), Strings({"1704067200.5"}),
             testing::Doubles({1704067200.25})}),
      ElementsAre(kNewYear, kNewYear, kNewYear, kNewYear, kNewYear + 500'000, kNewYear + 250'000));
  // The limits of AUTO.
  EXPECT_THAT(Times({Int64s({631'152'000})}), ElementsAre(631'152'000'000'000));
  EXPECT_THAT(Times({Int64s({631'151'999})}), ElementsAre(631'151'999));
  EXPECT_THAT(Times({Int64s({4'102'444'799})}), ElementsAre(4'102'444'799'000'000));
  EXPECT_THAT(Times({Int64s({4'102'444'800})}), ElementsAre(4'102'444'800));
}

TEST(TimeColumnTest, NumbersThatAreNoDatesHaveAnOrder) {
  EXPECT_THAT(Times({Int64s({5, -7}), Strings({"8"})}), ElementsAre(5, -7, 8));
  EXPECT_THAT(Times({Strings({"5.5", "-7"})}), ElementsAre(5, -7));
  EXPECT_THAT(Times({Int64s({20240131})}), ElementsAre(20240131));
}

TEST(TimeColumnTest, AConfiguredUnitIsNotGuessed) {
  EXPECT_THAT(Times({Int64s({0, 86400})}, InteractionFiles::SECONDS), ElementsAre(0, kDay));
  EXPECT_THAT(Times({Strings({"1.5"})}, InteractionFiles::MILLISECONDS), ElementsAre(1500));
  EXPECT_THAT(Times({Int64s({1'704'067'200})}, InteractionFiles::ORDINAL),
              ElementsAre(1'704'067'200));
  EXPECT_THAT(ErrorOf({Int64s({INT64_MAX})}, InteractionFiles::SECONDS),
              HasSubstr("f0:1: column \"t\": time 9223372036854775807 is too far from 1970"));
}

TEST(TimeColumnTest, RefusesWhatCannotBeCompared) {
  EXPECT_THAT(ErrorOf({Strings({"2024-01-31"}), Int64s({1, 2})}),
              AllOf(HasSubstr("times cannot be compared: f0 has dates written as text; f1 has "),
                    HasSubstr("row 1 has 1"), HasSubstr("data.interactions.time_unit")));
  EXPECT_THAT(ErrorOf({Int64s({1'704'067'200, 1'704'067'200'000})}),
              AllOf(HasSubstr("f0:2: column \"t\": time 1.70407e+12 is a date in MILLISECONDS"),
                    HasSubstr("those before in SECONDS")));
  EXPECT_THAT(ErrorOf({Strings({"2024-01-31", "5"})}),
              HasSubstr("f0:2: column \"t\": value \"5\""));
  EXPECT_THAT(ErrorOf({Int64s({5, std::nullopt})}),
              HasSubstr("f0:2: column \"t\": the time is missing"));
  EXPECT_THAT(ErrorOf({testing::ArrayOf<arrow::BooleanBuilder, bool>({true})}),
              HasSubstr("f0: column \"t\": has type bool; times are timestamps"));
}

// The first rows decide; a later row that does not fit is the error.
TEST(TimeColumnTest, ALaterNumberThatIsNoDateIsAnError) {
  const auto seen = LookAtTimes(ColumnIn("f", Int64s({1'704'067'200})), InteractionFiles::AUTO);
  ASSERT_TRUE(seen.ok());
  const auto reader = TimeReader::Make({{"f", *seen}}, InteractionFiles::AUTO);
  ASSERT_TRUE(reader.ok());

  const auto times = reader->Read(ColumnIn("f", Int64s({1'704'067'200, 0})));

  EXPECT_THAT(std::string(times.status().message()),
              HasSubstr("f:2: column \"t\": time would be 1970-01-01 in SECONDS, the unit of the "
                        "first rows; set data.interactions.time_unit to SECONDS"));
}

TEST(TimeTextTest, ReadsWhatOtherProgramsWrite) {
  const auto read = [](std::string_view text) {
    int64_t time = -1;
    EXPECT_TRUE(ParseTime(text, &time)) << text;
    return time;
  };
  EXPECT_EQ(read("1970-01-02"), kDay);
  EXPECT_EQ(read("1970-01-01T00:00:01.5"), 1'500'000);
  EXPECT_EQ(read("1970-01-01 00:00:00.123456789"), 123'456);
  EXPECT_EQ(read("1970-01-01 00:00:01 UTC"), 1'000'000);
  EXPECT_EQ(read("1970-01-01 00:00:01.123456 UTC"), 1'123'456);
  EXPECT_EQ(read("1970-01-01 01:00:00 +0100"), 0);
  EXPECT_EQ(read(" 1970-01-01 01:00:00+01:00 "), 0);
  EXPECT_EQ(read("1969-12-31 23:59:59Z"), -1'000'000);
  int64_t ignored = 0;
  for (const char* text : {"", "yesterday", "1970-13-01", "01/02/1970", "1970-01-01 25:00:00"}) {
    EXPECT_FALSE(ParseTime(text, &ignored)) << text;
  }
}

TEST(TimeTextTest, WritesTheShortestForm) {
  EXPECT_EQ(TimeText(kNewYear), "2024-01-01");
  EXPECT_EQ(TimeText(kNewYear + 3'661'000'000), "2024-01-01 01:01:01");
  EXPECT_EQ(TimeText(kNewYear + 500'000), "2024-01-01 00:00:00.5");
  EXPECT_EQ(TimeText(-1), "1969-12-31 23:59:59.999999");
}

}  // namespace
}  // namespace torii::data
