#include "base/failpoint.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/exit_code.h"
#include "base/log.h"
#include "gtest/gtest.h"

namespace torii {
namespace {

absl::Status Pass() {
  TORII_FAILPOINT("test.pass");
  return absl::OkStatus();
}

absl::StatusOr<int> PassWithValue() {
  TORII_FAILPOINT("test.value");
  return 1;
}

class FailpointTest : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_TRUE(ArmFailpoints("").ok());
    CountFailpoints(false);
    SetLogRank(0);
  }
};

TEST_F(FailpointTest, DoesNothingUnlessArmed) {
  EXPECT_TRUE(Pass().ok());
  ASSERT_TRUE(ArmFailpoints("test.other=error").ok());
  EXPECT_TRUE(Pass().ok());
}

TEST_F(FailpointTest, ActionsBecomeTheirErrors) {
  ASSERT_TRUE(ArmFailpoints("test.pass=eio").ok());
  EXPECT_EQ(ExitCodeOf(Pass()), ExitCode::kIo);
  ASSERT_TRUE(ArmFailpoints("test.pass=enospc").ok());
  EXPECT_EQ(ExitCodeOf(Pass()), ExitCode::kIo);
  EXPECT_NE(Pass().ToString().find("disk full"), std::string::npos);
  ASSERT_TRUE(ArmFailpoints("test.value=error").ok());
  EXPECT_EQ(ExitCodeOf(PassWithValue().status()), ExitCode::kInternal);
  EXPECT_NE(PassWithValue().status().ToString().find("test.value"), std::string::npos);
  ASSERT_TRUE(ArmFailpoints("test.pass=sleep:0").ok());
  EXPECT_TRUE(Pass().ok());
}

TEST_F(FailpointTest, FiresOnItsPassOnly) {
  ASSERT_TRUE(ArmFailpoints("test.pass#3=error").ok());

  std::vector<bool> ok;
  for (int i = 0; i < 5; ++i) ok.push_back(Pass().ok());

  EXPECT_EQ(ok, (std::vector<bool>{true, true, false, true, true}));
}

TEST_F(FailpointTest, FiresOnEveryPassWithoutANumber) {
  ASSERT_TRUE(ArmFailpoints("test.pass=error").ok());

  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Pass().ok());
}

TEST_F(FailpointTest, CountsPassesOfEachRank) {
  ASSERT_TRUE(ArmFailpoints("test.pass@1#2=error,test.value@0=error").ok());
  std::map<int, std::vector<bool>> ok;
  // One rank after the other, each as a thread of its own.
  for (const int rank : {0, 1, 2}) {
    std::thread([&ok, rank] {
      SetLogRank(rank);
      for (int i = 0; i < 3; ++i) ok[rank].push_back(Pass().ok());
      ok[rank].push_back(PassWithValue().ok());
    }).join();
  }

  EXPECT_EQ(ok[0], (std::vector<bool>{true, true, true, false}));
  EXPECT_EQ(ok[1], (std::vector<bool>{true, false, true, true}));
  EXPECT_EQ(ok[2], (std::vector<bool>{true, true, true, true}));
  EXPECT_EQ(FailpointHits(), (std::map<std::string, int64_t>{{"test.pass", 9}, {"test.value", 3}}));
}

TEST_F(FailpointTest, CountsWithoutArming) {
  EXPECT_TRUE(FailpointHits().empty());
  CountFailpoints(true);
  EXPECT_TRUE(Pass().ok());
  EXPECT_TRUE(Pass().ok());
  CountFailpoints(false);
  EXPECT_TRUE(Pass().ok());

  EXPECT_EQ(FailpointHits(), (std::map<std::string, int64_t>{{"test.pass", 2}}));
}

TEST_F(FailpointTest, RefusesAMalformedSpecAndKeepsWhatIsArmed) {
  ASSERT_TRUE(ArmFailpoints("test.pass=error").ok());
  for (const std::string spec :
       {"x", "x=", "x=explode", "=kill", "@1=kill", "x@=kill", "x@-1=kill", "x@a=kill", "x#0=kill",
        "x#=kill", "x=sleep:", "x=sleep:-1", "x=sleep:nan", "x=sleep:soon", "x=kill,", ","}) {
    const absl::Status status = ArmFailpoints(spec);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig) << spec;
    EXPECT_NE(status.ToString().find("expected name[@rank][#hit]="), std::string::npos) << spec;
  }

  EXPECT_FALSE(Pass().ok());
}

using FailpointDeathTest = FailpointTest;

TEST_F(FailpointDeathTest, KillsTheProcess) {
  EXPECT_EXIT(
      {
        (void)ArmFailpoints("test.pass#2=kill");
        (void)Pass();
        (void)Pass();
      },
      ::testing::KilledBySignal(SIGKILL), "failpoint test.pass, pass 2");
}

TEST_F(FailpointDeathTest, StopsTheProcess) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    (void)ArmFailpoints("test.pass=stop");
    (void)Pass();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  EXPECT_TRUE(WIFSTOPPED(status));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
}

}  // namespace
}  // namespace torii
