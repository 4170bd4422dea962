// Where a prepared dataset lies: nothing of others is replaced, links are followed, and several
// processes may ask for one dataset at once.
#include "data/prepare/prepared_folder.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/exit_code.h"
#include "data/prepared_layout.h"
#include "data/sealed_text.h"
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
// Over the dataset that is there.
absl::StatusOr<PrepareResult> Replace(const RawFolder& raw, const std::string& config) {
  return Prepare(LocalFiles(), raw.Config(config), {.force = true, .verbose = false});
}

constexpr char kRows[] = "user_id,item_id\n1,5\n1,6\n2,5\n2,7\n";

TEST(PreparedFolderTest, IsNotReplacedIfAnythingElseIsInIt) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(raw.Prepare(kPlain).ok());
  // Looks like one of its arrays, but is not listed.
  for (const char* foreign : {"run1/checkpoints", "train.other.i32"}) {
    ASSERT_TRUE(LocalFiles().MakeDirectories(JoinPath(raw.prepared(), foreign)).ok());
    const auto other = Replace(raw, kOtherSplit);
    EXPECT_EQ(ExitCodeOf(other.status()), ExitCode::kCannotCreate) << other.status();
    EXPECT_THAT(std::string(other.status().message()),
                HasSubstr(std::string(foreign).substr(0, std::string(foreign).find('/'))));
    EXPECT_TRUE(LocalFiles().Info(JoinPath(raw.prepared(), foreign))->exists);
    ASSERT_TRUE(raw.Prepare(kPlain)->reused);
    ASSERT_TRUE(LocalFiles().RemoveAll(JoinPath(raw.prepared(), foreign)).ok());
    ASSERT_TRUE(LocalFiles().RemoveAll(JoinPath(raw.prepared(), "run1")).ok());
  }
  EXPECT_TRUE(Replace(raw, kOtherSplit).ok());
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

// F12: a changed name or size is another model.
TEST(PreparedFolderTest, AChangeOfOneByteOfItsListIsSeen) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(raw.Prepare(kPlain).ok());
  const std::string path = JoinPath(raw.prepared(), kPreparedMetaName);
  const std::string good = *ReadFile(LocalFiles(), path);
  for (size_t at = 0; at < good.size(); at += 3) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, bad).ok());
    const absl::Status status = ReadPreparedMeta(LocalFiles(), raw.prepared()).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << at;
    EXPECT_THAT(std::string(status.message()), HasSubstr("run `torii prepare`"));
  }
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, good.substr(0, good.size() / 2)).ok());
  EXPECT_EQ(ExitCodeOf(ReadPreparedMeta(LocalFiles(), raw.prepared()).status()), ExitCode::kData);
}

TEST(PreparedFolderTest, AHostileListIsAnError) {
  const RawFolder raw;
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.prepared()).ok());
  const std::string version = absl::StrCat("version: ", kPreparedVersion, "\n");
  std::string deep = version;
  for (int i = 0; i < 300000; ++i) deep += "zzz { ";
  for (const std::string& text :
       {deep, version + "file { name: \"../../etc/hostname\" size: 1 }\n",
        version + "file { name: \"/etc/hostname\" }\n", version + "file { name: \"\" }\n",
        version + "file { name: \"..\" }\n"}) {
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), JoinPath(raw.prepared(), kPreparedMetaName),
                                    SealText(text))
                    .ok());
    const absl::Status status = ReadPreparedMeta(LocalFiles(), raw.prepared()).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << text.substr(0, 80);
  }
}

TEST(PreparedFolderTest, MayBeASymbolicLinkToAFolderThatIsNotThereYet) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("big")).ok());
  std::filesystem::create_directory_symlink(raw.File("big/data"), raw.prepared());
  for (const char* config : {kPlain, kOtherSplit}) {
    const auto result = Replace(raw, config);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->reused);
    EXPECT_TRUE(std::filesystem::is_symlink(raw.prepared()));
    EXPECT_THAT(*LocalFiles().List(raw.File("big")), ElementsAre("data"));
  }
}

TEST(PreparedFolderTest, OneOfSeveralAtOncePreparesAndAllGetTheResult) {
  const RawFolder raw;
  for (const char* more : {"", "3,7\n"}) {  // into an empty place, and over an older dataset
    raw.Write("x.csv", absl::StrCat(kRows, more));
    std::atomic<int> made = 0, reused = 0;
    std::vector<std::thread> processes;
    for (int i = 0; i < 5; ++i) {
      processes.emplace_back([&] {
        const auto result = raw.Prepare(kPlain);
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
