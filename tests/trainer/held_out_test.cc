// What an evaluation ranks, and what it leaves out.
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"
#include "trainer/evaluate_model.h"

namespace torii::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// User 1 comes back to item 20, user 2 to item 10; only item 40 is new to somebody.
constexpr char kTrain[] = "user_id,item_id\n1,10\n1,20\n1,30\n2,10\n2,10\n3,10\n";
constexpr char kTest[] = "user_id,item_id\n1,20\n1,40\n2,10\n";

absl::StatusOr<eval::HeldOut> HeldOutWith(const std::string& test, const std::string& config) {
  const testing::RawFolder raw;
  raw.Write("x.csv", kTrain);
  raw.Write("t.csv", test);
  const auto dataset =
      raw.PrepareAndOpen(R"(interactions { path: "$D/x.csv" } test_path: "$D/t.csv")");
  eval::EvalConfig eval;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(config, &eval)) << config;
  std::string part;
  auto held_out = HeldOutOf(*dataset, eval, &part);
  EXPECT_EQ(part, "test");
  if (held_out.ok()) {  // rows -> ids
    for (int64_t& user : held_out->users) user = dataset->users().IntegerId(user);
    for (int64_t& item : held_out->targets) item = dataset->items().IntegerId(item);
    for (int64_t& item : held_out->seen) item = dataset->items().IntegerId(item);
  }
  return held_out;
}

TEST(HeldOutTest, ItemsThatTheUserHasSeenAreNoTargets) {
  const auto held_out = HeldOutWith(kTest, "");

  ASSERT_TRUE(held_out.ok()) << held_out.status();
  EXPECT_THAT(held_out->users, ElementsAre(1));
  EXPECT_THAT(held_out->targets, ElementsAre(40));
  // Item 20 is left out of the ranking although it is held out: the label decides nothing.
  EXPECT_THAT(held_out->seen, ::testing::UnorderedElementsAre(10, 20, 30));
  EXPECT_EQ(held_out->repeats_left_out, 2);
}

TEST(HeldOutTest, RepeatsCanBeRankedAgainstAllItems) {
  for (const char* config : {"repeats: RANK_AGAINST_ALL", "mask_train: false"}) {
    const auto held_out = HeldOutWith(kTest, config);

    ASSERT_TRUE(held_out.ok()) << held_out.status();
    EXPECT_THAT(held_out->users, ElementsAre(1, 2));
    EXPECT_THAT(held_out->targets, ::testing::UnorderedElementsAre(20, 40, 10));
    EXPECT_THAT(held_out->seen, IsEmpty());
    EXPECT_EQ(held_out->repeats_left_out, 0);
  }
}

TEST(HeldOutTest, NothingButRepeatsIsAnErrorWithTheRemedies) {
  const auto held_out = HeldOutWith("user_id,item_id\n1,20\n2,10\n", "");

  ASSERT_FALSE(held_out.ok());
  EXPECT_EQ(ExitCodeOf(held_out.status()), ExitCode::kConfig);
  EXPECT_THAT(
      std::string(held_out.status().message()),
      AllOf(HasSubstr("all 2 held-out items of the test part repeat items"),
            HasSubstr("eval.repeats: RANK_AGAINST_ALL"), HasSubstr("data.filters.repeats: FIRST")));
}

}  // namespace
}  // namespace torii::trainer
