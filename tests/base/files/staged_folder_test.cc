#include "base/files/staged_folder.h"

#include <algorithm>
#include <filesystem>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/files/fault_file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Folders of one file, "ours".
class StagedFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(LocalFiles().RemoveAll(root).ok());
    ASSERT_TRUE(LocalFiles().MakeDirectories(root).ok());
  }
  static StagedFolderOptions Options() {
    return {.what = "the data",
            .remedy = "choose another folder",
            .foreign = [](const std::string&, const std::vector<std::string>& names) {
              std::vector<std::string> foreign = names;
              std::erase(foreign, "ours");
              return foreign;
            }};
  }
  // Writes `content` to where `target` is to be.
  absl::Status Replace(const std::string& path, const std::string& content,
                       FileSystem& files = LocalFiles()) {
    absl::StatusOr<std::unique_ptr<StagedFolder>> folder =
        StagedFolder::Open(files, path, Options());
    if (!folder.ok()) return folder.status();
    if (absl::Status status = (*folder)->Begin(); !status.ok()) return status;
    const absl::Status written =
        WriteFileAtomically(files, JoinPath((*folder)->path(), "ours"), content);
    return written.ok() ? (*folder)->Commit() : written;
  }
  std::string Content() {
    const absl::StatusOr<std::string> text = ReadFile(LocalFiles(), target + "/ours");
    return text.ok() ? *text : std::string(text.status().message());
  }
  std::vector<std::string> Names() { return *LocalFiles().List(root); }

  const std::string root = *LocalFiles().RealPath(::testing::TempDir()) + "/staged_folder_test";
  const std::string target = root + "/data";
};

TEST_F(StagedFolderTest, AppearsAtTheEnd) {
  auto folder = StagedFolder::Open(LocalFiles(), target + "/", Options());
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_TRUE((*folder)->Begin().ok());
  ASSERT_TRUE(LocalFiles().MakeDirectories((*folder)->scratch()).ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), (*folder)->path() + "/ours", "new").ok());
  EXPECT_FALSE(LocalFiles().Info(target)->exists);
  ASSERT_TRUE((*folder)->Commit().ok());
  EXPECT_EQ(Content(), "new");
  EXPECT_THAT(*LocalFiles().List(target), ElementsAre("ours"));
  folder->reset();
  EXPECT_THAT(Names(), ElementsAre("data"));
}

TEST_F(StagedFolderTest, ReplacesAFormerOne) {
  ASSERT_TRUE(Replace(target, "first").ok());
  ASSERT_TRUE(Replace(target, "second").ok());
  EXPECT_EQ(Content(), "second");
  EXPECT_THAT(Names(), ElementsAre("data"));
}

TEST_F(StagedFolderTest, WithoutCommitNothingChanges) {
  ASSERT_TRUE(Replace(target, "first").ok());
  {
    const auto folder = StagedFolder::Open(LocalFiles(), target, Options());
    ASSERT_TRUE(folder.ok());
    ASSERT_TRUE((*folder)->Begin().ok());
  }
  EXPECT_EQ(Content(), "first");
  EXPECT_THAT(Names(), ElementsAre("data"));
}

TEST_F(StagedFolderTest, RefusesWhatToriiDidNotWriteAndNamesIt) {
  ASSERT_TRUE(Replace(target, "first").ok());
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(LocalFiles().MakeDirectories(JoinPath(target, name)).ok());
  }
  const absl::Status status = Replace(target, "second");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kCannotCreate);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("did not write: a, b, c and 2 others; move that away, or choose another"));
  EXPECT_EQ(Content(), "first");

  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), root + "/file", "x").ok());
  EXPECT_EQ(ExitCodeOf(Replace(root + "/file", "y")), ExitCode::kCannotCreate);
}

TEST_F(StagedFolderTest, WhatComesWhileItIsWrittenStays) {
  ASSERT_TRUE(Replace(target, "first").ok());
  const auto folder = StagedFolder::Open(LocalFiles(), target, Options());
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE((*folder)->Begin().ok());
  ASSERT_TRUE(LocalFiles().MakeDirectories(target + "/precious").ok());
  EXPECT_EQ(ExitCodeOf((*folder)->Commit()), ExitCode::kCannotCreate);
  EXPECT_EQ(Content(), "first");
  EXPECT_TRUE(LocalFiles().Info(target + "/precious")->exists);
}

TEST_F(StagedFolderTest, SymbolicLinksAreFollowed) {
  namespace fs = std::filesystem;
  fs::create_directories(root + "/big");
  fs::create_directory_symlink("big/data", root + "/to_none");
  fs::create_directory_symlink(root + "/to_none", root + "/twice");
  for (const char* content : {"first", "second"}) {
    ASSERT_TRUE(Replace(root + "/twice", content).ok());
    EXPECT_TRUE(fs::is_symlink(root + "/twice"));
    EXPECT_EQ(*ReadFile(LocalFiles(), root + "/big/data/ours"), content);
    EXPECT_THAT(*LocalFiles().List(root + "/big"), ElementsAre("data"));
  }
  fs::create_symlink(root + "/loop", root + "/loop");
  EXPECT_FALSE(Replace(root + "/loop", "x").ok());
}

// Every call that changes a file fails once: afterwards there is the old folder or the new one.
TEST_F(StagedFolderTest, AFaultLeavesTheOldFolderOrTheNewOne) {
  for (int64_t at = 0;; ++at) {
    SetUp();
    ASSERT_TRUE(Replace(target, "first").ok());
    const auto faulty = FaultFileSystem::Create(LocalFiles(), FileFault::kIoError, at);
    const absl::Status status = Replace(target, "second", *faulty);
    EXPECT_THAT(Content(), ::testing::AnyOf("first", "second")) << "call " << at;
    if (status.ok()) {
      EXPECT_EQ(Content(), "second") << "call " << at;
    }
    ASSERT_TRUE(Replace(target, "third").ok()) << "call " << at;
    EXPECT_EQ(Content(), "third");
    EXPECT_THAT(Names(), ElementsAre("data")) << "call " << at;
    if (faulty->calls() <= at) break;
  }
}

// A process dies at a failpoint; the next one mends.
TEST_F(StagedFolderTest, AKillLeavesTheOldFolderOrTheNewOne) {
  const auto dies_at = [&](const std::string& point) {
    EXPECT_EXIT(
        {
          ArmFailpoints(point + "=kill").IgnoreError();
          Replace(target, "second").IgnoreError();
        },
        ::testing::KilledBySignal(SIGKILL), "");
  };
  ASSERT_TRUE(Replace(target, "first").ok());
  dies_at("folder.after_exchange");
  EXPECT_EQ(Content(), "second");
  ASSERT_TRUE(Replace(target, "third").ok());
  EXPECT_EQ(Content(), "third");
  EXPECT_THAT(Names(), ElementsAre("data"));
}

// Where two folders cannot be swapped, the old one steps aside; a kill then leaves none.
TEST_F(StagedFolderTest, AFolderThatStoodAsideComesBack) {
  ASSERT_TRUE(Replace(target, "first").ok());
  ASSERT_TRUE(LocalFiles().Rename(target, root + "/.data.old").ok());
  ASSERT_TRUE(LocalFiles().MakeDirectories(root + "/.data.new/scratch").ok());
  const auto folder = StagedFolder::Open(LocalFiles(), target, Options());
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ(Content(), "first");
  EXPECT_FALSE(LocalFiles().Info(root + "/.data.new")->exists);
}

}  // namespace
}  // namespace torii
