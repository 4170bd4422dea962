#include "base/files/fault_file_system.h"

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

constexpr char kOld[] = "the old content";
constexpr char kNew[] = "the new content, which is longer";

using Writer = std::function<absl::Status(FileSystem&, const std::string&, std::string_view)>;

// Controls: each leaves out one part of what WriteFileAtomically does.
absl::Status WriteWithoutSync(FileSystem& files, const std::string& path,
                              std::string_view content) {
  TORII_ASSIGN_OR_RETURN(auto file, files.Create(path + ".tmp"));
  TORII_RETURN_IF_ERROR(file->Append(content));
  TORII_RETURN_IF_ERROR(file->Close());
  return files.Rename(path + ".tmp", path);
}

absl::Status WriteInPlace(FileSystem& files, const std::string& path, std::string_view content) {
  TORII_ASSIGN_OR_RETURN(auto file, files.Create(path));
  TORII_RETURN_IF_ERROR(file->Append(content));
  TORII_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

class FaultFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* const info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = JoinPath(::testing::TempDir(),
                       "fault_files_" + std::string(info->name()) + std::to_string(::getpid()));
    Clear();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Clear() {
    std::filesystem::remove_all(folder_);
    ASSERT_TRUE(LocalFiles().MakeDirectories(folder_).ok());
  }
  std::string Path(const std::string& name) const { return JoinPath(folder_, name); }
  // "" for a missing file.
  std::string Content(const std::string& name) {
    return ReadFile(LocalFiles(), Path(name)).value_or("");
  }
  void Put(const std::string& name, std::string_view content) {
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), Path(name), content).ok());
  }

  // Runs `write` once for every fault at every call, over `old` ("" for no file), and loses
  // un-synced data after it if `power_cut`. Returns how many of the runs broke the promise: the old
  // or the new content, and the new one once it was acknowledged.
  int BrokenRuns(const Writer& write, const std::string& old, bool power_cut) {
    int broken = 0;
    for (const FileFault fault : {FileFault::kIoError, FileFault::kDiskFull, FileFault::kShortWrite,
                                  FileFault::kPowerCut}) {
      // At calls() nothing fails in the write: the fault comes after it.
      const int64_t calls = CallsOf(write);
      for (int64_t at = 0; at <= calls; ++at) {
        Clear();
        if (!old.empty()) Put("f", old);
        const auto files = FaultFileSystem::Create(LocalFiles(), fault, at);
        const absl::Status status = write(*files, Path("f"), kNew);
        EXPECT_TRUE(!power_cut || files->DropUnsynced().ok());
        const std::string content = Content("f");
        const bool kept = content == kNew || (content == old && !status.ok());
        EXPECT_TRUE(at < calls || status.ok()) << status;
        if (!kept) ++broken;
      }
    }
    return broken;
  }
  int64_t CallsOf(const Writer& write) {
    Clear();
    const auto files = FaultFileSystem::Create(LocalFiles(), FileFault::kNone, 0);
    EXPECT_TRUE(write(*files, Path("f"), kNew).ok());
    return files->calls();
  }

  std::string folder_;
};

TEST_F(FaultFileSystemTest, AtomicWriteLeavesTheOldOrTheNewContentAfterEveryFault) {
  EXPECT_EQ(CallsOf(WriteFileAtomically), 5);
  for (const std::string old : {"", kOld}) {
    EXPECT_EQ(BrokenRuns(WriteFileAtomically, old, /*power_cut=*/false), 0);
    EXPECT_EQ(BrokenRuns(WriteFileAtomically, old, /*power_cut=*/true), 0);
  }
}

TEST_F(FaultFileSystemTest, SweepFindsAMissingSyncByThePowerCutOnly) {
  EXPECT_EQ(BrokenRuns(WriteWithoutSync, kOld, /*power_cut=*/false), 0);
  EXPECT_GT(BrokenRuns(WriteWithoutSync, kOld, /*power_cut=*/true), 0);
}

TEST_F(FaultFileSystemTest, SweepFindsAWriteInPlace) {
  EXPECT_GT(BrokenRuns(WriteInPlace, kOld, /*power_cut=*/false), 0);
  EXPECT_GT(BrokenRuns(WriteInPlace, kOld, /*power_cut=*/true), 0);
}

TEST_F(FaultFileSystemTest, FailedAtomicWriteRemovesItsTemporaryFile) {
  for (const FileFault fault : {FileFault::kIoError, FileFault::kDiskFull}) {
    for (int64_t at = 0; at < 5; ++at) {
      Clear();
      const auto files = FaultFileSystem::Create(LocalFiles(), fault, at);
      EXPECT_EQ(ExitCodeOf(WriteFileAtomically(*files, Path("f"), kNew)), ExitCode::kIo);
      EXPECT_TRUE(LocalFiles().List(folder_).value().empty()) << "call " << at;
    }
  }
}

TEST_F(FaultFileSystemTest, DiskFullWritesHalfSaysSoAndGoesOn) {
  const auto files = FaultFileSystem::Create(LocalFiles(), FileFault::kDiskFull, 1);
  auto file = files->Create(Path("f")).value();

  const absl::Status status = file->Append("12345678");
  EXPECT_NE(status.ToString().find("disk full"), std::string::npos) << status;
  EXPECT_NE(status.ToString().find(Path("f")), std::string::npos) << status;
  EXPECT_TRUE(file->Append("x").ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_EQ(Content("f"), "1234x");
}

TEST_F(FaultFileSystemTest, EveryCallFailsAfterTheProcessDied) {
  for (const FileFault fault : {FileFault::kShortWrite, FileFault::kPowerCut}) {
    Clear();
    Put("g", "x");
    const auto files = FaultFileSystem::Create(LocalFiles(), fault, 1);
    const auto reader = files->OpenForReading(Path("g")).value();
    auto file = files->Create(Path("f")).value();
    char out = 0;
    EXPECT_FALSE(file->Append("12345678").ok());

    EXPECT_FALSE(file->Sync().ok());
    EXPECT_FALSE(file->Close().ok());
    EXPECT_FALSE(reader->ReadAt(0, 1, &out).ok());
    EXPECT_FALSE(files->OpenForReading(Path("g")).ok());
    EXPECT_FALSE(files->Map(Path("g")).ok());
    EXPECT_FALSE(files->Info(Path("g")).ok());
    EXPECT_FALSE(files->List(folder_).ok());
    EXPECT_FALSE(files->MakeDirectories(Path("d")).ok());
    EXPECT_FALSE(files->Rename(Path("g"), Path("h")).ok());
    EXPECT_FALSE(files->RemoveAll(Path("g")).ok());
    EXPECT_EQ(Content("g"), "x");
    EXPECT_EQ(Content("f"), fault == FileFault::kShortWrite ? "1234" : "");
  }
}

TEST_F(FaultFileSystemTest, ShortReadsAreErrorsAndShortMaps) {
  Put("f", "12345678");
  const auto reads = FaultFileSystem::Create(LocalFiles(), FileFault::kShortRead, -1);
  ASSERT_TRUE(ReadFile(*reads, Path("f")).ok());
  ASSERT_TRUE(reads->Map(Path("f")).ok());
  EXPECT_EQ(reads->calls(), 2);

  const auto first = FaultFileSystem::Create(LocalFiles(), FileFault::kShortRead, 0);
  EXPECT_EQ(ExitCodeOf(ReadFile(*first, Path("f")).status()), ExitCode::kIo);
  EXPECT_TRUE(ReadFile(*first, Path("f")).ok());

  const auto map = FaultFileSystem::Create(LocalFiles(), FileFault::kShortRead, 0);
  EXPECT_EQ(map->Map(Path("f")).value()->size(), 4);
}

TEST_F(FaultFileSystemTest, PowerCutKeepsWhatWasSyncedInADurableDirectoryEntry) {
  Put("log", "line 1\n");
  const auto files = FaultFileSystem::Create(LocalFiles(), FileFault::kNone, 0);
  auto log = files->OpenForAppending(Path("log")).value();
  ASSERT_TRUE(log->Append("line 2\n").ok());
  ASSERT_TRUE(log->Sync().ok());
  ASSERT_TRUE(log->Append("line 3\n").ok());
  log.reset();
  // Synced, but nothing made its name durable.
  auto fresh = files->Create(Path("fresh")).value();
  ASSERT_TRUE(fresh->Append("x").ok());
  ASSERT_TRUE(fresh->Sync().ok());
  fresh.reset();

  ASSERT_TRUE(files->DropUnsynced().ok());

  EXPECT_EQ(Content("log"), "line 1\nline 2\n");
  EXPECT_FALSE(LocalFiles().Info(Path("fresh")).value().exists);
}

TEST_F(FaultFileSystemTest, RenameMakesTheEntriesBesideItAndInAFolderDurable) {
  const auto files = FaultFileSystem::Create(LocalFiles(), FileFault::kNone, 0);
  ASSERT_TRUE(files->MakeDirectories(Path("tmp")).ok());
  for (const std::string name : {"tmp/shard", "beside"}) {
    auto file = files->Create(Path(name)).value();
    ASSERT_TRUE(file->Append("x").ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(file->Append("not synced").ok());
  }
  ASSERT_TRUE(files->Rename(Path("tmp"), Path("step")).ok());

  ASSERT_TRUE(files->DropUnsynced().ok());

  EXPECT_EQ(Content("step/shard"), "x");
  EXPECT_EQ(Content("beside"), "x");
}

}  // namespace
}  // namespace torii
