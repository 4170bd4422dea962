#include "base/ids.h"

#include <type_traits>

#include "gtest/gtest.h"

namespace torii {
namespace {

static_assert(!std::is_convertible_v<int, Rank>);
static_assert(!std::is_convertible_v<Rank, int>);
static_assert(!std::is_convertible_v<Rank, WorldSize>);
static_assert(!std::is_convertible_v<Epoch, StepInEpoch>);

TEST(IdsTest, ValueGivesTheNumberBack) {
  EXPECT_EQ(Value(Rank{3}), 3);
  EXPECT_EQ(Value(StepInEpoch{int64_t{1} << 40}), int64_t{1} << 40);
}

}  // namespace
}  // namespace torii
