#include "base/file_system.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

// A folder of its own for every test.
class LocalFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* const info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = JoinPath(::testing::TempDir(),
                       "local_files_" + std::string(info->name()) + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    ASSERT_TRUE(files_.MakeDirectories(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return JoinPath(folder_, name); }
  std::string Content(const std::string& name) {
    absl::StatusOr<std::string> content = ReadFile(files_, Path(name));
    return content.ok() ? *content : content.status().ToString();
  }

  FileSystem& files_ = LocalFiles();
  std::string folder_;
};

void ExpectError(const absl::Status& status, ExitCode code, const std::vector<std::string>& words) {
  EXPECT_EQ(ExitCodeOf(status), code) << status;
  for (const std::string& word : words) {
    EXPECT_NE(status.ToString().find(word), std::string::npos) << word << " not in " << status;
  }
}

TEST(PathTest, JoinsAndSplits) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("a", "/b"), "/b");
  EXPECT_EQ(JoinPath("a", ""), "a");
  EXPECT_EQ(JoinPath("", "b"), "b");
  EXPECT_EQ(ParentPath("a/b"), "a");
  EXPECT_EQ(ParentPath("a//b/"), "a");
  EXPECT_EQ(ParentPath("a"), ".");
  EXPECT_EQ(ParentPath(""), ".");
  EXPECT_EQ(ParentPath("/a"), "/");
  EXPECT_EQ(ParentPath("/"), "/");
  EXPECT_EQ(BaseName("a/b"), "b");
  EXPECT_EQ(BaseName("a/b/"), "b");
  EXPECT_EQ(BaseName("b"), "b");
  EXPECT_EQ(BaseName("/"), "/");
  EXPECT_EQ(BaseName(""), "");
}

TEST_F(LocalFilesTest, ReadsBackWhatWasWritten) {
  for (const size_t size : {0, 1, 4097, 3'000'001}) {
    std::string content(size, '\0');
    for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31);
    ASSERT_TRUE(WriteFileAtomically(files_, Path("f"), content).ok());

    EXPECT_EQ(Content("f"), content);
    auto mapped = files_.Map(Path("f"));
    ASSERT_TRUE(mapped.ok());
    const auto* data = reinterpret_cast<const char*>((*mapped)->data());
    EXPECT_EQ(std::string_view(data, static_cast<size_t>((*mapped)->size())), content);
  }
  EXPECT_EQ(files_.List(folder_).value(), (std::vector<std::string>{"f"}));
}

TEST_F(LocalFilesTest, AppendsInPiecesAndAfterReopening) {
  auto file = files_.Create(Path("f")).value();
  ASSERT_TRUE(file->Append("one ").ok());
  ASSERT_TRUE(file->Append("").ok());
  ASSERT_TRUE(file->Append("two ").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Close().ok());
  file = files_.OpenForAppending(Path("f")).value();
  ASSERT_TRUE(file->Append("three").ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(Content("f"), "one two three");

  ASSERT_TRUE(files_.Create(Path("f")).value()->Close().ok());
  EXPECT_EQ(Content("f"), "");
}

TEST_F(LocalFilesTest, ReadsAtAnyOffsetAndRefusesToReadPastTheEnd) {
  ASSERT_TRUE(WriteFileAtomically(files_, Path("f"), "0123456789").ok());
  const auto file = files_.OpenForReading(Path("f")).value();
  std::string out(3, '?');

  ASSERT_TRUE(file->ReadAt(7, 3, out.data()).ok());
  EXPECT_EQ(out, "789");
  EXPECT_EQ(file->size(), 10);
  EXPECT_TRUE(file->ReadAt(10, 0, out.data()).ok());
  ExpectError(file->ReadAt(8, 3, out.data()), ExitCode::kIo,
              {"read", Path("f"), "truncated", "3 bytes at offset 8", "found 2"});
}

TEST_F(LocalFilesTest, NamesOperationPathAndReason) {
  ASSERT_TRUE(WriteFileAtomically(files_, Path("f"), "x").ok());
  const std::string missing = Path("missing");

  ExpectError(files_.OpenForReading(missing).status(), ExitCode::kNoInput,
              {"open", missing, "No such file or directory"});
  ExpectError(files_.Map(missing).status(), ExitCode::kNoInput, {"open", missing});
  ExpectError(files_.List(missing).status(), ExitCode::kNoInput, {"list", missing});
  ExpectError(ReadFile(files_, missing).status(), ExitCode::kNoInput, {missing});
  ExpectError(files_.OpenForReading(folder_).status(), ExitCode::kIo, {"not a regular file"});
  ExpectError(files_.Create(Path("missing/f")).status(), ExitCode::kCannotCreate,
              {"create", "missing/f"});
  ExpectError(files_.Create(folder_).status(), ExitCode::kCannotCreate, {folder_});
  ExpectError(files_.MakeDirectories(Path("f")), ExitCode::kCannotCreate, {"make directory"});
  ExpectError(files_.MakeDirectories(Path("f/a/b")), ExitCode::kCannotCreate, {"Not a directory"});
  ExpectError(files_.MakeDirectories(""), ExitCode::kCannotCreate, {"make directory"});
  ExpectError(files_.Rename(missing, Path("g")), ExitCode::kCannotCreate, {"rename", missing});
}

TEST_F(LocalFilesTest, SaysDiskFull) {
  auto file = files_.Create("/dev/full").value();

  ExpectError(file->Append("x"), ExitCode::kIo, {"write", "/dev/full", "disk full"});
  // Nothing may look well after a failure.
  EXPECT_FALSE(file->Append("").ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Close().ok());
}

TEST_F(LocalFilesTest, RefusesAPipeWithoutWaitingForAWriter) {
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);

  ExpectError(files_.OpenForReading(Path("pipe")).status(), ExitCode::kIo, {"not a regular file"});
}

TEST_F(LocalFilesTest, TellsWhatAPathIs) {
  ASSERT_TRUE(WriteFileAtomically(files_, Path("f"), "abc").ok());

  const FileInfo file = files_.Info(Path("f")).value();
  EXPECT_TRUE(file.exists);
  EXPECT_FALSE(file.is_directory);
  EXPECT_EQ(file.size, 3);
  EXPECT_GT(file.modified_ns, int64_t{1'600'000'000} * 1'000'000'000);
  EXPECT_TRUE(files_.Info(folder_).value().is_directory);
  EXPECT_FALSE(files_.Info(Path("missing")).value().exists);
  EXPECT_FALSE(files_.Info(Path("f/below")).value().exists);
}

TEST_F(LocalFilesTest, MakesListsRenamesAndRemovesFolders) {
  ASSERT_TRUE(files_.MakeDirectories(Path("a/b/c/")).ok());
  ASSERT_TRUE(files_.MakeDirectories(Path("a/b/c")).ok());
  ASSERT_TRUE(WriteFileAtomically(files_, Path("a/b/z"), "").ok());
  ASSERT_TRUE(WriteFileAtomically(files_, Path("a/b/a"), "").ok());
  EXPECT_EQ(files_.List(Path("a/b")).value(), (std::vector<std::string>{"a", "c", "z"}));

  ASSERT_TRUE(files_.Rename(Path("a/b"), Path("d")).ok());
  EXPECT_TRUE(files_.List(Path("a")).value().empty());
  EXPECT_EQ(files_.List(Path("d")).value().size(), 3u);

  ASSERT_TRUE(files_.RemoveAll(Path("d")).ok());
  EXPECT_TRUE(files_.RemoveAll(Path("d")).ok());
  ASSERT_TRUE(WriteFileAtomically(files_, Path("a/file"), "").ok());
  EXPECT_TRUE(files_.RemoveAll(Path("a/file/below")).ok());
  EXPECT_EQ(files_.List(folder_).value(), (std::vector<std::string>{"a"}));
}

TEST_F(LocalFilesTest, FailedAtomicWriteKeepsTheOldContentAndLeavesNothingBehind) {
  ASSERT_TRUE(WriteFileAtomically(files_, Path("f"), "old").ok());
  for (const std::string point : {"file.atomic.before_sync", "file.atomic.before_rename"}) {
    ASSERT_TRUE(ArmFailpoints(point + "=enospc").ok());
    const absl::Status status = WriteFileAtomically(files_, Path("f"), "new");
    ASSERT_TRUE(ArmFailpoints("").ok());

    EXPECT_EQ(ExitCodeOf(status), ExitCode::kIo);
    EXPECT_EQ(Content("f"), "old");
    EXPECT_EQ(files_.List(folder_).value(), (std::vector<std::string>{"f"}));
  }
}

using LocalFilesDeathTest = LocalFilesTest;

TEST_F(LocalFilesDeathTest, KilledAtomicWriteKeepsTheOldContentAndTheNextOneSucceeds) {
  ASSERT_TRUE(WriteFileAtomically(files_, Path("f"), "old").ok());
  for (const std::string point : {"file.atomic.before_sync", "file.atomic.before_rename"}) {
    EXPECT_EXIT(
        {
          (void)ArmFailpoints(point + "=kill");
          (void)WriteFileAtomically(files_, Path("f"), "newer");
        },
        ::testing::KilledBySignal(SIGKILL), "");
    EXPECT_EQ(Content("f"), "old");
  }
  ASSERT_TRUE(WriteFileAtomically(files_, Path("f"), "new").ok());

  EXPECT_EQ(Content("f"), "new");
  EXPECT_EQ(files_.List(folder_).value(), (std::vector<std::string>{"f"}));
}

}  // namespace
}  // namespace torii
