#include "base/chosen_kind.h"

#include "gtest/gtest.h"
#include "launch/run.pb.h"

namespace torii {
namespace {

TEST(ChosenKindTest, IsTheNameOfTheFieldThatIsSet) {
  model::LossConfig loss;
  EXPECT_EQ(ChosenKind(loss), "");
  EXPECT_EQ(ChosenKind(loss, "softmax"), "softmax");
  loss.mutable_bpr();
  EXPECT_EQ(ChosenKind(loss, "softmax"), "bpr");
  loss.mutable_bce()->set_negatives(2);
  EXPECT_EQ(ChosenKind(loss), "bce");
}

TEST(ChosenKindTest, LooksAtTheOneofBesideOtherFields) {
  model::HistoryConfig history;
  history.set_length(3);
  EXPECT_EQ(ChosenKind(history), "");
  history.mutable_gru();
  EXPECT_EQ(ChosenKind(history), "gru");
}

}  // namespace
}  // namespace torii
