#include "data/prepare/split_rule.h"

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "data/prepare/prepare.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::RawFolder;

TEST(SplitRuleTest, FractionsRoundDownAsPeopleMeanIt) {
  EXPECT_EQ(FractionOf(0.29, 100), 29);
  EXPECT_EQ(FractionOf(0.1, 70), 7);
  EXPECT_EQ(FractionOf(0.1, 69), 6);
  EXPECT_EQ(FractionOf(0.5, 1), 0);
  EXPECT_EQ(FractionOf(0.5, 0), 0);
}

TEST(SplitRuleTest, FindsTheTimeAtEveryPlace) {
  const RawFolder raw;
  std::mt19937_64 random(3);
  std::vector<Interaction> rows(211);
  for (Interaction& row : rows) {
    row.time = static_cast<int64_t>(random()) >> (random() % 60);
    row.part = random() % 5 == 0 ? Part::kTest : Part::kTrain;
    row.item = static_cast<int32_t>(random() % 2);
  }
  rows[0].time = std::numeric_limits<int64_t>::min();
  InteractionSpill spill(LocalFiles(), raw.File("spill"), /*capacity=*/10);
  ASSERT_TRUE(spill.Append(rows).ok());
  ASSERT_TRUE(spill.Finish().ok());
  const Kept kept{.users = {1}, .items = {1, 0}, .dropped_rows = 0};
  for (const int64_t limit : {std::numeric_limits<int64_t>::max(), int64_t{1000}, int64_t{0}}) {
    std::vector<int64_t> times;
    for (const Interaction& row : rows) {
      if (row.part == Part::kTrain && row.item == 0 && row.time < limit) {
        times.push_back(row.time);
      }
    }
    std::sort(times.begin(), times.end());
    ASSERT_FALSE(times.empty());
    for (size_t i = 0; i < times.size(); ++i) {
      const auto time = TimeAt(spill, kept, limit, static_cast<int64_t>(i));
      ASSERT_TRUE(time.ok()) << time.status();
      EXPECT_EQ(*time, times[i]) << "place " << i << " below " << limit;
    }
  }
}

// Sizes and parts agree for users of every size: what the counting pass announces is what is
// written.
TEST(SplitRuleTest, SizesAreThoseThatAssignGives) {
  for (const char* text : {"last_k: 1", "last_k: 3 valid: true", "last_fraction: 0.999999999999",
                           "last_fraction: 0.1 valid: true", "random_fraction: 0.34 valid: true"}) {
    DataConfig config;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, config.mutable_split()));
    const RawFolder raw;
    const InteractionSpill spill(LocalFiles(), raw.File("spill"), 1);
    const auto rule = SplitRule::Make(config, spill, {}, TimeReader());
    ASSERT_TRUE(rule.ok()) << rule.status();
    for (int64_t n = 0; n < 40; ++n) {
      std::vector<Interaction> rows(static_cast<size_t>(n));
      for (size_t i = 0; i < rows.size(); ++i) {
        rows[i].order = static_cast<int64_t>(i) * 17;
      }
      rule->Assign(rows);
      PartSizes counted;
      for (const Interaction& row : rows) {
        ++counted.of_part[static_cast<int>(row.part)];
      }
      const PartSizes sizes = rule->SizesFor(n);
      for (int p = 0; p < kNumParts; ++p) {
        EXPECT_EQ(sizes.of_part[p], counted.of_part[p]) << text << ", n = " << n;
      }
      EXPECT_TRUE(n == 0 || sizes.of_part[0] > 0) << text << ", n = " << n;
    }
  }
}

TEST(ValidateTest, AcceptsDefaultsAndNamesTheFieldOfEachViolatedRule) {
  const auto broken = [](const std::string& text) {
    DataConfig config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        absl::StrCat("interactions { path: 'x.csv' } ", text), &config))
        << text;
    const ConfigRules rules("data");
    Validate(config, rules);
    std::vector<std::string> texts;
    for (const BrokenRule& rule : rules.broken()) texts.push_back(rule.Text());
    return texts;
  };

  EXPECT_THAT(broken(""), IsEmpty());
  EXPECT_THAT(broken("split { last_k: 0 }"),
              ElementsAre("data.split.last_k: must be at least 1, not 0"));
  EXPECT_THAT(broken("split { valid: true }"),
              Contains(::testing::StartsWith("data.split: needs")));
  EXPECT_THAT(broken("split { last_k: 1 } test_path: 't.csv'"),
              ElementsAre("data.split: excludes data.test_path, unless `valid: true` asks for a "
                          "validation part"));
  EXPECT_THAT(broken("split { last_k: 1 valid: true } test_path: 't.csv'"), IsEmpty());
  EXPECT_THAT(
      broken("items { path: 'i' encoding: 'nonsense' delimiter: '::' quotes: true }"),
      ElementsAre("data.items.quotes: is not possible with a delimiter of several characters",
                  ::testing::StartsWith("data.items.encoding: \"nonsense\" is not known")));
  EXPECT_THAT(broken("split { time_fraction: 0.1 }"),
              ElementsAre("data.split: cuts by time, which needs data.interactions.time"));
  EXPECT_THAT(broken("sort_buffer_rows: 0"),
              ElementsAre("data.sort_buffer_rows: must be at least 1, not 0"));
  EXPECT_THAT(broken("prepared_dir: 's3://bucket/p'"),
              ElementsAre("data.prepared_dir: must be a local folder, not s3://bucket/p"));
  EXPECT_THAT(broken("items { feature { column: 'a' categorical {} } }"),
              ElementsAre("data.items.path: is needed"));
  EXPECT_THAT(broken("items { path: 'i' feature { column: ['a', 'b'] numeric { buckets: 1 } } }"),
              ElementsAre("data.items.feature[0].column: has 2 columns; only features of the kind "
                          "flags have several",
                          "data.items.feature[0].numeric.buckets: must be in [2, 100000], not 1"));
  EXPECT_THAT(
      broken(
          "users { path: 'u' feature { column: 'a' text {} } feature { column: 'a' vector {} } }"),
      ElementsAre(
          "data.users.feature[1].name: \"a\" is taken; give each feature a name of its own"));
  EXPECT_THAT(
      broken("users { path: 'u' feature { column: 'a' } }"),
      ElementsAre("data.users.feature[0]: needs its kind: categorical, numeric, text, vector "
                  "or flags"));
}

}  // namespace
}  // namespace torii::data
