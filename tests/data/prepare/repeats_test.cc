// filters.repeats: which of several rows of one user and item stay.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using testing::Lines;
using testing::RawFolder;

// Item 10 of user 1 comes three times, around item 20.
constexpr char kRepeated[] =
    "user_id,item_id,t,w\n1,10,1,0.5\n1,20,2,1\n1,10,3,2\n1,10,3,4\n1,30,4,1\n2,10,9,1\n";
struct Result {
  std::vector<std::string> lines;
  std::vector<float> weights;
  int64_t dropped = 0;
};

Result PrepareWith(const std::string& repeats, const std::string& more, int buffer) {
  const RawFolder raw;
  raw.Write("x.csv", kRepeated);
  const auto dataset = raw.PrepareAndOpen(
      absl::StrCat("interactions { path: \"$D/x.csv\" time: \"t\" ", more,
                   " } filters { repeats: ", repeats, " } sort_buffer_rows: ", buffer));
  if (dataset == nullptr) {
    return {};
  }
  const std::span<const float> weights = dataset->train().weight;
  return {Lines(*dataset, dataset->train()),
          {weights.begin(), weights.end()},
          dataset->meta().dropped_by_repeats()};
}

TEST(RepeatsTest, KeepsWhatIsAskedForInMemoryAndOnDisk) {
  for (const int buffer : {1000, 2}) {
    EXPECT_THAT(PrepareWith("KEEP", "", buffer).lines, ElementsAre("1: 10 20 10 10 30", "2: 10"));
    const Result first = PrepareWith("FIRST", "", buffer);
    EXPECT_THAT(first.lines, ElementsAre("1: 10 20 30", "2: 10"));
    EXPECT_EQ(first.dropped, 2);
    EXPECT_THAT(PrepareWith("LAST", "", buffer).lines, ElementsAre("1: 20 10 30", "2: 10"));
    const Result counted = PrepareWith("COUNT_AS_WEIGHT", "", buffer);
    EXPECT_THAT(counted.lines, ElementsAre("1: 20 10 30", "2: 10"));
    EXPECT_THAT(counted.weights, ElementsAre(1, 3, 1, 1));
    EXPECT_THAT(PrepareWith("COUNT_AS_WEIGHT", "weight: 'w'", buffer).weights,
                ElementsAre(1, 6.5F, 1, 1));
  }
}

TEST(RepeatsTest, ComeBeforeCountsAndSplits) {
  const RawFolder raw;
  raw.Write("x.csv", kRepeated);

  const auto dataset = raw.PrepareAndOpen(R"(
      interactions { path: "$D/x.csv" time: "t" } split { last_k: 1 }
      filters { repeats: FIRST min_user_interactions: 2 })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10 20"));
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 30"));
  const PreparedDataset& meta = dataset->meta();
  EXPECT_EQ(meta.read_rows(), meta.train_rows() + meta.valid_rows() + meta.test_rows() +
                                  meta.dropped_by_repeats() + meta.dropped_by_filters());
}

TEST(RepeatsTest, PartsAreLookedAtOneByOne) {
  const RawFolder raw;
  raw.Write("x.csv", "user_id,item_id\n1,10\n1,10\n");
  raw.Write("t.csv", "user_id,item_id\n1,10\n1,10\n");

  const auto dataset = raw.PrepareAndOpen(
      R"(interactions { path: "$D/x.csv" } test_path: "$D/t.csv" filters { repeats: LAST })");

  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(Lines(*dataset, dataset->train()), ElementsAre("1: 10"));
  EXPECT_THAT(Lines(*dataset, dataset->test()), ElementsAre("1: 10"));
}

}  // namespace
}  // namespace torii::data
