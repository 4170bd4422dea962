#include "exports/trec.h"

#include "base/exit_code.h"
#include "gtest/gtest.h"

namespace torii::exports {
namespace {

std::string ItemName(int64_t item) { return "i" + std::to_string(item); }
std::string UserName(int64_t user) { return "u" + std::to_string(user); }

TEST(TrecTest, RunHasScoresThatFallStrictlyWithRank) {
  const std::string path = JoinPath(::testing::TempDir(), "torii_trec_run.txt");
  const std::vector<std::string> users = {"a", "b", "c"};
  const std::vector<std::vector<eval::ScoredItem>> lists = {
      {{3, 0.5F}, {1, -0.25F}}, {{1, 2.0F}, {2, 1.5F}, {9, 1.5F}}, {}};

  ASSERT_TRUE(WriteTrecRun(LocalFiles(), path, users, lists, ItemName).ok());

  const auto text = ReadFile(LocalFiles(), path);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text,
            "a Q0 i3 1 0.5 torii\n"
            "a Q0 i1 2 -0.25 torii\n"
            "b Q0 i1 1 3 torii\n"
            "b Q0 i2 2 2 torii\n"
            "b Q0 i9 3 1 torii\n");
}

TEST(TrecTest, QrelsHaveALinePerTarget) {
  const std::string path = JoinPath(::testing::TempDir(), "torii_trec_qrels.txt");
  eval::HeldOut held_out;
  held_out.users = {4, 6};
  held_out.target_begin = {0, 2, 3};
  held_out.targets = {7, 8, 1};
  held_out.seen_begin = {0, 0, 0};

  ASSERT_TRUE(WriteTrecQrels(LocalFiles(), path, held_out, UserName, ItemName).ok());

  const auto text = ReadFile(LocalFiles(), path);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, "u4 0 i7 1\nu4 0 i8 1\nu6 0 i1 1\n");
}

TEST(TrecTest, IdsWithWhiteSpaceAreAnErrorThatNamesThem) {
  const std::string path = JoinPath(::testing::TempDir(), "torii_trec_bad.txt");
  const std::vector<std::string> users = {"John Doe"};

  const absl::Status status = WriteTrecRun(LocalFiles(), path, users, {{}}, ItemName);

  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_NE(status.message().find("'John Doe'"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace torii::exports
