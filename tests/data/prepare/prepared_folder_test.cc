// Where a prepared dataset lies: nothing of others is replaced, links are followed, and several
// processes may ask for one dataset at once.
#include "data/prepare/prepared_folder.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/exit_code.h"
#include "data/prepared_layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RawFolder;

constexpr char kPlain[] = R"(interactions { path: "$D/x.csv" })";
constexpr char kOtherSplit[] = R"(interactions { path: "$D/x.csv" } split { last_k: 1 })";
constexpr char kRows[] = "user_id,item_id\n1,5\n1,6\n2,5\n2,7\n";

TEST(PreparedFolderTest, IsNotReplacedIfAnythingElseIsInIt) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(raw.Prepare(kPlain).ok());
  // Looks like one of its arrays, but is not listed.
  for (const char* foreign : {"run1/checkpoints", "train.other.i32"}) {
    ASSERT_TRUE(LocalFiles().MakeDirectories(JoinPath(raw.prepared(), foreign)).ok());
    const auto other = raw.Prepare(kOtherSplit);
    EXPECT_EQ(ExitCodeOf(other.status()), ExitCode::kCannotCreate) << other.status();
    EXPECT_THAT(std::string(other.status().message()),
                HasSubstr(std::string(foreign).substr(0, std::string(foreign).find('/'))));
    EXPECT_TRUE(LocalFiles().Info(JoinPath(raw.prepared(), foreign))->exists);
    ASSERT_TRUE(raw.Prepare(kPlain)->reused);
    ASSERT_TRUE(LocalFiles().RemoveAll(JoinPath(raw.prepared(), foreign)).ok());
    ASSERT_TRUE(LocalFiles().RemoveAll(JoinPath(raw.prepared(), "run1")).ok());
  }
  EXPECT_TRUE(raw.Prepare(kOtherSplit).ok());
}

TEST(PreparedFolderTest, IsReplacedIfItsListCannotBeRead) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(raw.Prepare(kPlain).ok());
  const std::string meta = JoinPath(raw.prepared(), kPreparedMetaName);
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), meta, "version: 0 of: another { time").ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), raw.prepared() + "/train.csv", "mine").ok());
  EXPECT_EQ(ExitCodeOf(raw.Prepare(kPlain).status()), ExitCode::kCannotCreate);
  ASSERT_TRUE(LocalFiles().RemoveAll(raw.prepared() + "/train.csv").ok());
  const auto again = raw.Prepare(kPlain);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->reused);
}

TEST(PreparedFolderTest, MayBeASymbolicLinkToAFolderThatIsNotThereYet) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("big")).ok());
  std::filesystem::create_directory_symlink(raw.File("big/data"), raw.prepared());
  for (const char* config : {kPlain, kOtherSplit}) {
    const auto result = raw.Prepare(config);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->reused);
    EXPECT_TRUE(std::filesystem::is_symlink(raw.prepared()));
    EXPECT_THAT(*LocalFiles().List(raw.File("big")), ElementsAre("data"));
  }
}

TEST(PreparedFolderTest, OneOfSeveralAtOncePreparesAndAllGetTheResult) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  for (const char* config : {kPlain, kOtherSplit}) {  // into an empty place, and over an older one
    std::atomic<int> made = 0, reused = 0;
    std::vector<std::thread> processes;
    for (int i = 0; i < 5; ++i) {
      processes.emplace_back([&] {
        const auto result = raw.Prepare(config);
        ASSERT_TRUE(result.ok()) << result.status();
        ++(result->reused ? reused : made);
      });
    }
    for (std::thread& process : processes) process.join();
    EXPECT_EQ(made, 1);
    EXPECT_EQ(reused, 4);
    EXPECT_THAT(*LocalFiles().List(raw.path()), ElementsAre("prepared", "x.csv"));
  }
}

}  // namespace
}  // namespace torii::data
