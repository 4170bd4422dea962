#include "trainer/early_stopping.h"

#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "trainer/checkpoint/message_state.h"

namespace torii::trainer {
namespace {

TEST(EarlyStoppingTest, TheFirstValueAndLargerOnesAreGains) {
  EarlyStopping stopping("mrr", 2);
  EXPECT_TRUE(stopping.Observe(3, -5));
  EXPECT_FALSE(stopping.Observe(4, -5));
  EXPECT_FALSE(stopping.OutOfPatience());
  EXPECT_TRUE(stopping.Observe(5, -4));
  EXPECT_FALSE(stopping.Observe(6, -6));
  EXPECT_FALSE(stopping.Observe(7, -4));
  EXPECT_TRUE(stopping.OutOfPatience());
  EXPECT_EQ(stopping.state().best_step(), 5);
  EXPECT_EQ(stopping.state().best_value(), -4);
  EXPECT_EQ(stopping.state().evaluated_step(), 7);
}

TEST(EarlyStoppingTest, WithoutPatienceItNeverStops) {
  EarlyStopping stopping("mrr", 0);
  for (int64_t step = 0; step < 100; ++step) stopping.Observe(step, 0);
  EXPECT_FALSE(stopping.OutOfPatience());
}

// What `from` registered, loaded into `to`.
absl::Status Move(EarlyStopping& from, EarlyStopping& to) {
  StateRegistry saved, loaded;
  from.RegisterState(saved);
  to.RegisterState(loaded);
  return loaded.messages().front().load(saved.messages().front().save());
}

TEST(EarlyStoppingTest, GoesOnFromItsStateAndForgetsAnotherMeasure) {
  EarlyStopping first("mrr", 2), same("mrr", 2), other("ndcg@5", 2);
  first.Observe(1, 0.1 + 0.2);
  first.Observe(2, 0.1);
  ASSERT_TRUE(Move(first, same).ok());
  EXPECT_FALSE(same.ForgetOtherMeasure());
  EXPECT_EQ(same.state().best_value(), 0.1 + 0.2);
  same.Observe(3, 0.1);
  EXPECT_TRUE(same.OutOfPatience());

  ASSERT_TRUE(Move(first, other).ok());
  EXPECT_TRUE(other.ForgetOtherMeasure());
  EXPECT_FALSE(other.ForgetOtherMeasure());
  EXPECT_TRUE(other.Observe(3, 0.01));
}

TEST(MessageStateTest, RefusesWhatIsNotTheWholeMessage) {
  EarlyStoppingState state;
  const std::string text = MessageState("x", &state).save();
  EXPECT_EQ(text,
            "measure: \"\" best_value: 0 best_step: -1 evaluations_without_gain: 0 "
            "evaluated_step: -1");
  EXPECT_TRUE(ParseMessageState("x", text, &state).ok());
  for (const char* bad : {"", "best_step: 3", "best_step: x", "zzz { zzz {", "measure: 1"}) {
    EXPECT_EQ(ExitCodeOf(ParseMessageState("x", bad, &state)), ExitCode::kData) << bad;
  }
}

}  // namespace
}  // namespace torii::trainer
