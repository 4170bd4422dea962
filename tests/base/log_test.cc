#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/file_system.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* const info = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = JoinPath(::testing::TempDir(),
                     "log_" + std::string(info->name()) + std::to_string(::getpid()));
    std::filesystem::remove(path_);
    SetLogLevel(LogLevel::kInfo);  // the main of the tests keeps information lines off
  }
  void TearDown() override {
    SetLogRank(0);
    for (const int rank : {0, 1, 2}) SetLogFile(rank, "");
    std::filesystem::remove(path_);
  }
  std::string FileContent() { return ReadFile(LocalFiles(), path_).value_or("missing"); }

  std::string path_;
};

// Standard error is a terminal of 20 columns while this lives.
class Terminal {
 public:
  Terminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY)), saved_stderr_(::dup(STDERR_FILENO)) {
    EXPECT_EQ(::grantpt(master_), 0);
    EXPECT_EQ(::unlockpt(master_), 0);
    const int slave = ::open(::ptsname(master_), O_RDWR | O_NOCTTY);
    const winsize size = {.ws_row = 5, .ws_col = 20, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::ioctl(slave, TIOCSWINSZ, &size), 0);
    ::dup2(slave, STDERR_FILENO);
    ::close(slave);
  }
  ~Terminal() {
    ::dup2(saved_stderr_, STDERR_FILENO);
    ::close(saved_stderr_);
    ::close(master_);
  }
  std::string Shown() const {
    std::array<char, 4096> buffer{};
    const ssize_t n = ::read(master_, buffer.data(), buffer.size());
    return n > 0 ? std::string(buffer.data(), static_cast<size_t>(n)) : "";
  }

 private:
  int master_;
  int saved_stderr_;
};

TEST_F(LogTest, WritesTimeLevelAndRankOnOneLine) {
  ::testing::internal::CaptureStderr();
  TORII_INFO("loss ", 0.5, "\nsecond");
  const std::string line = ::testing::internal::GetCapturedStderr();

  ASSERT_EQ(line.size(),
            std::string("2026-03-01T12:00:00.123Z I rank=0 loss 0.5\\nsecond\n").size());
  EXPECT_EQ(line.substr(24), " I rank=0 loss 0.5\\nsecond\n");
  EXPECT_EQ(line[4], '-');
  EXPECT_EQ(line[10], 'T');
  EXPECT_EQ(line[19], '.');
  EXPECT_EQ(line[23], 'Z');
}

TEST_F(LogTest, OtherRanksShowOnlyWarningsAndErrors) {
  ::testing::internal::CaptureStderr();
  SetLogRank(2);
  TORII_INFO("quiet");
  TORII_WARNING("careful");
  TORII_ERROR("broken");
  const std::string shown = ::testing::internal::GetCapturedStderr();

  EXPECT_EQ(shown.find("quiet"), std::string::npos);
  EXPECT_NE(shown.find(" W rank=2 careful\n"), std::string::npos);
  EXPECT_NE(shown.find(" E rank=2 broken\n"), std::string::npos);
}

TEST_F(LogTest, EachRankAppendsToItsOwnFile) {
  SetLogFile(1, path_);
  std::thread([] {
    SetLogRank(1);
    TORII_INFO("mine");
  }).join();
  std::thread([] {
    SetLogRank(2);
    TORII_INFO("not mine");
  }).join();
  SetLogFile(1, path_);
  std::thread([] {
    SetLogRank(1);
    TORII_INFO("mine again");
    SetLogFile(1, "");
    TORII_INFO("nobody's");
  }).join();

  const std::vector<std::string> lines = absl::StrSplit(FileContent(), '\n');
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].substr(24), " I rank=1 mine");
  EXPECT_EQ(lines[1].substr(24), " I rank=1 mine again");
}

TEST_F(LogTest, DropsMessagesBelowTheLevel) {
  SetLogFile(0, path_);
  ::testing::internal::CaptureStderr();
  TORII_DEBUG("one");
  SetLogLevel(LogLevel::kDebug);
  TORII_DEBUG("two");
  SetLogLevel(LogLevel::kError);
  TORII_WARNING("three");
  const std::string shown = ::testing::internal::GetCapturedStderr();

  EXPECT_EQ(shown, FileContent());
  EXPECT_EQ(shown.substr(24), " D rank=0 two\n");
}

TEST_F(LogTest, KeepsLinesWholeWhenThreadsWriteTogether) {
  constexpr int kThreads = 4;
  constexpr int kLines = 200;
  SetLogFile(1, path_);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([] {
      SetLogRank(1);
      for (int i = 0; i < kLines; ++i) TORII_INFO(std::string(50, 'x'));
    });
  }
  for (std::thread& thread : threads) thread.join();

  const std::vector<std::string> lines = absl::StrSplit(FileContent(), '\n');
  ASSERT_EQ(lines.size(), kThreads * kLines + 1u);
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    EXPECT_EQ(lines[i].substr(24), " I rank=1 " + std::string(50, 'x'));
  }
}

TEST_F(LogTest, WarnsOnceWhenTheLogDiskIsFull) {
  ::testing::internal::CaptureStderr();
  SetLogFile(0, "/dev/full");
  TORII_INFO("first");
  TORII_INFO("second");
  const std::string shown = ::testing::internal::GetCapturedStderr();

  const size_t warning = shown.find("/dev/full: No space left on device");
  EXPECT_NE(warning, std::string::npos) << shown;
  EXPECT_EQ(shown.find("/dev/full", warning + 1), std::string::npos) << shown;
  EXPECT_NE(shown.find("second"), std::string::npos);
}

TEST_F(LogTest, WarnsWhenTheLogFileCannotBeCreated) {
  ::testing::internal::CaptureStderr();
  SetLogFile(1, path_ + "/missing/log");
  const std::string shown = ::testing::internal::GetCapturedStderr();

  EXPECT_NE(shown.find("/missing/log: No such file or directory"), std::string::npos) << shown;
}

TEST_F(LogTest, ProgressIsAnOrdinaryLineWithoutATerminal) {
  ::testing::internal::CaptureStderr();
  EXPECT_FALSE(StderrIsTerminal());
  LogProgress("step 1", /*done=*/false);
  LogProgress("step 2", /*done=*/true);
  const std::string shown = ::testing::internal::GetCapturedStderr();

  EXPECT_NE(shown.find(" I rank=0 step 1\n"), std::string::npos);
  EXPECT_NE(shown.find(" I rank=0 step 2\n"), std::string::npos);
  EXPECT_EQ(shown.find('\r'), std::string::npos);
}

TEST_F(LogTest, ProgressIsRedrawnInPlaceOnATerminal) {
  SetLogFile(0, path_);
  const Terminal terminal;
  EXPECT_TRUE(StderrIsTerminal());

  LogProgress("step 1 of a line too long for it", /*done=*/false);
  EXPECT_EQ(terminal.Shown(), "\r\x1b[Kstep 1 of a line to");
  TORII_WARNING("w");
  const std::string between = terminal.Shown();
  EXPECT_EQ(between.rfind("\r\x1b[K", 0), 0u) << between;
  EXPECT_NE(between.find("rank=0 w\r\nstep 1 of a line to"), std::string::npos) << between;
  LogProgress("step 2", /*done=*/true);
  EXPECT_EQ(terminal.Shown(), "\r\x1b[Kstep 2\r\n");
  TORII_INFO("after");
  EXPECT_EQ(terminal.Shown().find('\x1b'), std::string::npos);
  EXPECT_NE(FileContent().find("I rank=0 step 1 of a line too long for it\n"), std::string::npos);
}

}  // namespace
}  // namespace torii
