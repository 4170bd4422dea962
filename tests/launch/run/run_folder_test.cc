#include "launch/run/run_folder.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "gtest/gtest.h"
#include "launch/process/cores.h"
#include "nlohmann/json.hpp"

namespace torii::launch {
namespace {

// A folder that is not there yet.
std::string NewFolder(const std::string& name) {
  const std::string path =
      JoinPath(::testing::TempDir(), absl::StrCat("run_folder_", ::getpid(), "_", name));
  EXPECT_TRUE(LocalFiles().RemoveAll(path).ok());
  return path;
}

RunIdentity Identity() {
  return {.command_line = "torii train --config a.txtpb",
          .resolved_config = "seed: 3\n",
          .world_size = 2,
          .launcher = "this process"};
}

nlohmann::json ReadJson(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(LocalFiles(), path);
  EXPECT_TRUE(text.ok()) << text.status();
  return nlohmann::json::parse(text.ok() ? *text : "{}");
}

TEST(RunFolderTest, HoldsWhatWasRunAndHowItStands) {
  const std::string path = NewFolder("basic");

  absl::StatusOr<std::unique_ptr<RunFolder>> folder =
      RunFolder::Open(LocalFiles(), path, Identity());
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_TRUE((*folder)->SetPhase("train").ok());

  EXPECT_EQ(*ReadFile(LocalFiles(), path + "/config.resolved.txtpb"), "seed: 3\n");
  EXPECT_EQ(*ReadFile(LocalFiles(), path + "/command.txt"), "torii train --config a.txtpb\n");
  const nlohmann::json environment = ReadJson(path + "/environment.json");
  EXPECT_EQ(environment["host"], HostName());
  EXPECT_TRUE(environment["versions"].contains("LibTorch"));
  const nlohmann::json status = ReadJson(path + "/STATUS.json");
  EXPECT_EQ(status["phase"], "train");
  EXPECT_EQ(status["step"], 0);
  EXPECT_TRUE(status["exit_code"].is_null());
  EXPECT_EQ(status["restarts"], 0);
  EXPECT_TRUE(LocalFiles().Info(path + "/logs")->is_directory);
}

TEST(RunFolderTest, TheIdentityStaysUntilTheRunGoesOn) {
  const std::string path = NewFolder("identity");
  ASSERT_TRUE(RunFolder::Open(LocalFiles(), path, Identity()).ok());
  RunIdentity other = Identity();
  other.resolved_config = "seed: 4\n";

  const auto folder = RunFolder::Open(LocalFiles(), path, other);

  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ(*ReadFile(LocalFiles(), path + "/config.resolved.txtpb"), "seed: 3\n");
  ASSERT_TRUE((*folder)->RecordIdentity(other).ok());
  EXPECT_EQ(*ReadFile(LocalFiles(), path + "/config.resolved.txtpb"), "seed: 4\n");
}

TEST(RunFolderTest, EndsWithPhaseAndExitCode) {
  const std::vector<std::pair<absl::Status, std::string>> ends = {
      {absl::OkStatus(), "done"},
      {InterruptedError("stopped"), "interrupted"},
      {DataError("a \"bad\" row \xff"), "failed"},
  };
  const std::string path = NewFolder("ends");
  int64_t restarts = 0;
  for (const auto& [end, phase] : ends) {
    absl::StatusOr<std::unique_ptr<RunFolder>> folder =
        RunFolder::Open(LocalFiles(), path, Identity());
    ASSERT_TRUE(folder.ok()) << folder.status();
    ASSERT_TRUE((*folder)->SetEnd(end, 12).ok());

    const nlohmann::json status = ReadJson(path + "/STATUS.json");

    EXPECT_EQ(status["phase"], phase);
    EXPECT_EQ(status["step"], 12);
    EXPECT_EQ(status["exit_code"], static_cast<int>(ExitCodeOf(end)));
    EXPECT_EQ(status["error"].is_null(), end.ok());
    EXPECT_EQ(status["restarts"], restarts++);
  }
}

TEST(RunFolderTest, AnotherRankRecordsTheFailureUnlessThereIsAnEnd) {
  const std::string path = NewFolder("recorded");
  EXPECT_TRUE(RecordFailure(LocalFiles(), path, IoError("no folder yet")).ok());
  EXPECT_FALSE(LocalFiles().Info(path)->exists);
  absl::StatusOr<std::unique_ptr<RunFolder>> folder =
      RunFolder::Open(LocalFiles(), path, Identity());
  ASSERT_TRUE(folder.ok() && (*folder)->SetPhase("train").ok());

  ASSERT_TRUE(RecordFailure(LocalFiles(), path, IoError("disk full")).ok());
  const nlohmann::json recorded = ReadJson(path + "/STATUS.json");
  ASSERT_TRUE(RecordFailure(LocalFiles(), path, DataError("too late")).ok());

  EXPECT_EQ(recorded["phase"], "failed");
  EXPECT_EQ(recorded["exit_code"], static_cast<int>(ExitCode::kIo));
  EXPECT_EQ(recorded["error"], "disk full");
  EXPECT_EQ(recorded["world_size"], 2);
  EXPECT_EQ(ReadJson(path + "/STATUS.json"), recorded);
}

TEST(RunFolderTest, IsRefusedWhileAnotherHasIt) {
  const std::string path = NewFolder("locked");
  absl::StatusOr<std::unique_ptr<RunFolder>> first =
      RunFolder::Open(LocalFiles(), path, Identity());
  ASSERT_TRUE(first.ok());

  const absl::Status second = RunFolder::Open(LocalFiles(), path, Identity()).status();

  EXPECT_EQ(ExitCodeOf(second), ExitCode::kCannotCreate);
  const std::string message(second.message());
  EXPECT_NE(message.find(absl::StrCat("process ", ::getpid(), " on ", HostName())),
            std::string::npos)
      << message;
  first->reset();
  EXPECT_TRUE(RunFolder::Open(LocalFiles(), path, Identity()).ok());
}

TEST(RunFolderTest, AFailedWriteIsAnErrorAndGivesTheLockBack) {
  const std::string path = NewFolder("failpoint");
  ASSERT_TRUE(ArmFailpoints("run_folder.status=enospc").ok());
  const absl::Status status = RunFolder::Open(LocalFiles(), path, Identity()).status();
  ASSERT_TRUE(ArmFailpoints("").ok());
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kIo);
  EXPECT_FALSE(LocalFiles().Info(path + "/lock")->exists);
}

TEST(RunFolderTest, AFileInItsPlaceCannotBeARunFolder) {
  const std::string path = NewFolder("file");
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, "x").ok());
  EXPECT_EQ(ExitCodeOf(RunFolder::Open(LocalFiles(), path, Identity()).status()),
            ExitCode::kCannotCreate);
}

// A rank that mpirun has killed stays in the process table until its new parent takes note of it.
TEST(RunFolderTest, IsTakenOverFromAProcessThatHasEnded) {
  const std::string path = NewFolder("ended");
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto folder = RunFolder::Open(LocalFiles(), path, Identity());
    ::_exit(folder.ok() ? 0 : 1);
  }
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(ended.si_status, 0);
  EXPECT_TRUE(LocalFiles().Info(path + "/lease")->exists);
  const auto folder = RunFolder::Open(LocalFiles(), path, Identity());
  EXPECT_TRUE(folder.ok()) << folder.status();
  ::waitpid(pid, nullptr, 0);
}

TEST(RunFolderTest, ALoserWritesNothingMore) {
  const std::string path = NewFolder("loser");
  const auto folder = RunFolder::Open(LocalFiles(), path, Identity());
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE((*folder)->SetPhase("train").ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path + "/lease", FormatHolder(ThisHolder())).ok());
  EXPECT_EQ(ExitCodeOf((*folder)->CheckHeld()), ExitCode::kCannotCreate);
  EXPECT_EQ(ExitCodeOf((*folder)->SetPhase("evaluate")), ExitCode::kCannotCreate);
  EXPECT_EQ(ReadJson(path + "/STATUS.json")["phase"], "train");
}

TEST(RunFolderTest, IsApartFromThePreparedData) {
  const std::string folder = NewFolder("apart");
  ASSERT_TRUE(LocalFiles().MakeDirectories(folder + "/prep").ok());
  std::filesystem::create_directory_symlink(folder + "/prep", folder + "/link");
  const auto check = [&](const std::string& run, const std::string& prepared) {
    return ExitCodeOf(CheckApart(LocalFiles(), folder + "/" + run, folder + "/" + prepared));
  };
  EXPECT_EQ(check("run", "prep"), ExitCode::kOk);
  EXPECT_EQ(check("prep2", "prep"), ExitCode::kOk);
  EXPECT_EQ(check("run", "run/prep"), ExitCode::kOk);
  EXPECT_EQ(check("prep", "prep"), ExitCode::kConfig);
  EXPECT_EQ(check("./prep/", "prep"), ExitCode::kConfig);
  EXPECT_EQ(check("prep/run", "prep"), ExitCode::kConfig);
  EXPECT_EQ(check("link/run", "prep"), ExitCode::kConfig);
  EXPECT_EQ(check("run", "run/checkpoints"), ExitCode::kConfig);
  EXPECT_EQ(check("run", "run/logs/prep"), ExitCode::kConfig);
}

TEST(KeptVariablesTest, KeepsWhatMattersAndHidesSecrets) {
  const auto kept = KeptVariables({"OMPI_COMM_WORLD_SIZE=2", "HOME=/root", "TORII_API_KEY=abc",
                                   "SLURM_JOB_ID=7=8", "OMP_x_password=p", "SLURM_TOKEN=t",
                                   "broken", "OMP_NUM_THREADS="});
  EXPECT_EQ(kept.size(), 6u);
  EXPECT_EQ(kept.at("OMPI_COMM_WORLD_SIZE"), "2");
  EXPECT_EQ(kept.at("SLURM_JOB_ID"), "7=8");
  EXPECT_EQ(kept.at("OMP_NUM_THREADS"), "");
  for (const char* secret : {"TORII_API_KEY", "OMP_x_password", "SLURM_TOKEN"}) {
    EXPECT_EQ(kept.at(secret), "(redacted)") << secret;
  }
}

TEST(RankLogPathTest, IsPaddedToFourDigits) {
  EXPECT_EQ(RankLogPath("runs/a", 3), "runs/a/logs/rank-0003.log");
}

}  // namespace
}  // namespace torii::launch
