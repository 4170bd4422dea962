#include "base/files/lease.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

// The local disk, with an event before each look at a file, and with or without locks.
class WatchedFiles final : public FileSystem {
 public:
  std::function<void(const std::string&)> before_look = [](const std::string&) {};
  bool has_locks = true;

  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) override {
    return LocalFiles().OpenForReading(path);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return LocalFiles().Create(path);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppending(const std::string& path) override {
    return LocalFiles().OpenForAppending(path);
  }
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(const std::string& path) override {
    return LocalFiles().Map(path);
  }
  absl::StatusOr<FileInfo> Info(const std::string& path) override {
    before_look(path);
    return LocalFiles().Info(path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    return LocalFiles().List(directory);
  }
  absl::Status MakeDirectories(const std::string& path) override {
    return LocalFiles().MakeDirectories(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return LocalFiles().Rename(from, to);
  }
  absl::Status RemoveAll(const std::string& path) override { return LocalFiles().RemoveAll(path); }
  absl::StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path) override {
    if (!has_locks) return IoError("no locks");
    return LocalFiles().TryLock(path);
  }
  absl::StatusOr<bool> Exchange(const std::string& a, const std::string& b) override {
    return LocalFiles().Exchange(a, b);
  }
  absl::StatusOr<std::string> RealPath(const std::string& path) override {
    return LocalFiles().RealPath(path);
  }
};

class LeaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(LocalFiles().RemoveAll(folder).ok());
    ASSERT_TRUE(LocalFiles().MakeDirectories(folder).ok());
  }
  LeaseOptions Options() const {
    return {.what = "the folder",
            .remedy = "wait for it",
            .beat_every = std::chrono::hours(1),
            .look_every = milliseconds(1)};
  }
  // A holder under another kernel.
  Holder Foreign() const {
    Holder holder = ThisHolder();
    holder.host = "node7";
    holder.boot_id = "another";
    holder.pid = 4711;
    return holder;
  }
  void Write(const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), prefix + "lease", text).ok());
  }
  void MakeOld(std::chrono::seconds age) {
    namespace fs = std::filesystem;
    fs::last_write_time(prefix + "lease", fs::file_time_type::clock::now() - age);
  }
  absl::StatusOr<std::unique_ptr<Lease>> Take(const LeaseOptions& options) {
    return Lease::Take(files, prefix, options);
  }
  // The lease is this process's now.
  void ExpectTaken(const LeaseOptions& options) {
    const auto lease = Take(options);
    ASSERT_TRUE(lease.ok()) << lease.status();
    EXPECT_TRUE((*lease)->CheckHeld().ok());
    const Holder holder = ParseHolder(*ReadFile(LocalFiles(), prefix + "lease"));
    EXPECT_EQ(holder.pid, ThisHolder().pid);
  }

  WatchedFiles files;
  const std::string folder = ::testing::TempDir() + "/lease_test";
  const std::string prefix = folder + "/.data.";
};

TEST_F(LeaseTest, OneHasItUntilItGivesItBack) {
  auto first = Take(Options());
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = Take(Options()).status();
  EXPECT_EQ(ExitCodeOf(second), ExitCode::kCannotCreate);
  EXPECT_THAT(
      std::string(second.message()),
      HasSubstr(absl::StrCat("the folder is in use by process ", ThisHolder().pid, " on ")));
  EXPECT_THAT(std::string(second.message()), HasSubstr("): wait for it"));
  EXPECT_TRUE((*first)->CheckHeld().ok());
  first->reset();
  EXPECT_EQ(LocalFiles().List(folder)->size(), 0u);
  ExpectTaken(Options());
}

TEST_F(LeaseTest, IsTakenOverAtOnceFromADeadProcessOfThisMachine) {
  Holder dead = ThisHolder();
  dead.host = "of a container";
  Write(FormatHolder(dead));
  ExpectTaken(Options());
}

TEST_F(LeaseTest, ALeaseThatACrashLeftEmptyIsFree) {
  Write("");
  ExpectTaken(Options());
}

TEST_F(LeaseTest, IsTakenOverFromAnotherMachineThatHasNotShownItself) {
  Write(FormatHolder(Foreign()));
  MakeOld(std::chrono::seconds(61));
  ExpectTaken(Options());
}

TEST_F(LeaseTest, IsTakenOverFromAnotherMachineThatStopsShowingItself) {
  Write(FormatHolder(Foreign()));
  int looks = 0;
  files.before_look = [&](const std::string& path) {
    if (path == prefix + "lease" && ++looks == 9) MakeOld(std::chrono::seconds(61));
  };
  ExpectTaken(Options());
  EXPECT_GE(looks, 9);
}

TEST_F(LeaseTest, IsLeftToAnotherMachineThatShowsItself) {
  for (const bool has_locks : {true, false}) {
    files.has_locks = has_locks;
    Holder alive = Foreign();
    Write(FormatHolder(alive));
    int looks = 0;
    files.before_look = [&](const std::string& path) {
      if (path != prefix + "lease" || ++looks % 5 != 0) return;
      ++alive.beat;
      Write(FormatHolder(alive));
    };
    const absl::Status status = Take(Options()).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kCannotCreate) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("process 4711 on node7"));
  }
}

TEST_F(LeaseTest, WithoutLocksADeadProcessOfThisMachineIsFreeWhenItsBeatIsOld) {
  files.has_locks = false;
  Write(FormatHolder(ThisHolder()));
  MakeOld(std::chrono::seconds(61));
  ExpectTaken(Options());
}

TEST_F(LeaseTest, TheUserMayKnowThatTheOtherMachineIsGone) {
  Write(FormatHolder(Foreign()));
  LeaseOptions options = Options();
  options.take = true;
  ExpectTaken(options);
}

TEST_F(LeaseTest, TheUserCannotTakeItFromALiveProcess) {
  const auto first = Take(Options());
  ASSERT_TRUE(first.ok());
  LeaseOptions options = Options();
  options.take = true;
  EXPECT_EQ(ExitCodeOf(Take(options).status()), ExitCode::kCannotCreate);
}

TEST_F(LeaseTest, WhoWaitsGetsItNext) {
  auto first = Take(Options());
  ASSERT_TRUE(first.ok());
  std::atomic<bool> has_looked = false;
  files.before_look = [&](const std::string&) { has_looked = true; };
  std::thread waiting([&] {
    LeaseOptions options = Options();
    options.waits = true;
    ExpectTaken(options);
  });
  while (!has_looked) std::this_thread::yield();
  first->reset();
  waiting.join();
}

TEST_F(LeaseTest, WhoWasTakenForDeadLearnsIt) {
  {
    const auto lease = Take(Options());
    ASSERT_TRUE(lease.ok());
    Write(FormatHolder(Foreign()));
    const absl::Status status = (*lease)->CheckHeld();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kCannotCreate);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("process 4711 on node7"), HasSubstr("has taken over the folder")));
    ASSERT_TRUE(LocalFiles().RemoveAll(prefix + "lease").ok());
    EXPECT_EQ(ExitCodeOf((*lease)->CheckHeld()), ExitCode::kCannotCreate);
    Write(FormatHolder(Foreign()));
  }
  // The end of the loser leaves the winner's lease alone.
  EXPECT_EQ(ParseHolder(*ReadFile(LocalFiles(), prefix + "lease")).host, "node7");
}

TEST_F(LeaseTest, ShowsThatItLives) {
  LeaseOptions options = Options();
  options.beat_every = milliseconds(1);
  const auto lease = Take(options);
  ASSERT_TRUE(lease.ok());
  while (ParseHolder(*ReadFile(LocalFiles(), prefix + "lease")).beat < 3) std::this_thread::yield();
  EXPECT_TRUE((*lease)->CheckHeld().ok());
}

TEST(HolderTest, ReadsBack) {
  Holder holder = ThisHolder();
  holder.job_id = "17 of an array";
  holder.beat = 5;
  EXPECT_FALSE(holder.nonce.empty());
  EXPECT_NE(holder.nonce, ThisHolder().nonce);
  const Holder again = ParseHolder(FormatHolder(holder));
  EXPECT_EQ(FormatHolder(again), FormatHolder(holder));
  EXPECT_EQ(Describe(again), absl::StrCat("process ", holder.pid, " on ", holder.host,
                                          " (job 17 of an array, since ", holder.started, ")"));
}

TEST(HolderTest, OtherTextsHaveNoNonce) {
  for (const char* text : {"", "\n", "node1 4711 12345\n", "nonce a\npid b\n"}) {
    EXPECT_EQ(ParseHolder(text).nonce, "") << text;
    EXPECT_EQ(Describe(ParseHolder(text)), "an unknown process");
  }
}

}  // namespace
}  // namespace torii
