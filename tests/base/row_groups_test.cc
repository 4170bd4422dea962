#include "base/row_groups.h"

#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(RowGroupsTest, WithoutSharingQueryIIsRowI) {
  for (const int64_t rows : {0, 1, 5}) {
    const RowGroups groups = RowGroups::OneEach(rows);
    EXPECT_EQ(groups.rows(), rows);
    EXPECT_EQ(groups.queries(), rows);
    EXPECT_TRUE(groups.begins().empty());
    for (int64_t i = 0; i <= rows; ++i) EXPECT_EQ(groups.begin(i), i);
    for (int64_t i = 0; i < rows; ++i) EXPECT_EQ(groups.QueryOf(i), i);
  }
  EXPECT_EQ(RowGroups().rows(), 0);
}

TEST(RowGroupsTest, RowsBelongToTheQueryThatBeginsLastBeforeThem) {
  const RowGroups groups = RowGroups::Of({0, 2, 2, 5});
  EXPECT_EQ(groups.rows(), 5);
  EXPECT_EQ(groups.queries(), 3);
  EXPECT_FALSE(groups.one_each());
  const int64_t query[] = {0, 0, 2, 2, 2};
  for (int64_t row = 0; row < 5; ++row) EXPECT_EQ(groups.QueryOf(row), query[row]) << row;
}

TEST(RowGroupsTest, KnowsThatNothingIsShared) {
  EXPECT_TRUE(RowGroups::Of({0, 1, 2}).one_each());
  EXPECT_TRUE(RowGroups::Of({0}).one_each());
  EXPECT_FALSE(RowGroups::Of({0, 0, 2}).one_each()) << "as many queries as rows, one without a row";
}

TEST(RowGroupsDeathTest, RefusesGroupsThatDoNotCoverTheRows) {
  EXPECT_DEATH(RowGroups::Of({1, 2}), "begin at row 0");
  EXPECT_DEATH(RowGroups::Of({0, 3, 2}), "ends before it begins");
  EXPECT_DEATH(RowGroups::Of({}), "begin at row 0");
}

}  // namespace
}  // namespace torii
