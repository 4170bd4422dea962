// What can be tested of the MPI back end outside an MPI world: how a launcher is recognised, and
// how a world ends (this executable starts itself under mpirun for that).
#include <ATen/ATen.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "comm/mpi/launcher.h"
#include "comm/mpi/mpi_environment.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii::comm {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

EnvironmentLookup In(const Variables& variables) {
  return [&variables](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

TEST(LauncherTest, RecognisesTheRanksOfAWorld) {
  for (const Variables& variables : {
           Variables{{"OMPI_COMM_WORLD_SIZE", "4"}},
           Variables{{"PMI_SIZE", "4"}},
           Variables{{"PMIX_RANK", "0"}},
           // srun
           Variables{{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"PMIX_RANK", "1"}},
           Variables{{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "4"}},
           // mpirun in an allocation: the node's daemon is a step of one task
           Variables{{"SLURM_PROCID", "0"},
                     {"SLURM_STEP_NUM_TASKS", "1"},
                     {"OMPI_COMM_WORLD_SIZE", "4"},
                     {"PMIX_RANK", "3"}},
       }) {
    EXPECT_TRUE(IsMpiRank(In(variables)));
  }
}

TEST(LauncherTest, DoesNotTakeAShellForARank) {
  for (const Variables& variables : {
           Variables{},
           // a batch script of a job of four tasks
           Variables{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "7"}},
           // a shell of an interactive step
           Variables{{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"PMIX_RANK", "0"}},
           Variables{{"SLURM_STEP_NUM_TASKS", "4"}},
       }) {
    EXPECT_FALSE(IsMpiRank(In(variables)));
  }
}

TEST(LauncherTest, SaysHowToStartWhenSrunDidNotTellMpi) {
  const Variables plain = {{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "4"}};
  Variables pmix = plain;
  pmix["PMIX_RANK"] = "1";

  EXPECT_THAT(std::string(CheckSlurmStep(In(plain)).message()), HasSubstr("--mpi=pmix"));
  EXPECT_TRUE(CheckSlurmStep(In(pmix)).ok());
  EXPECT_TRUE(CheckSlurmStep(In({})).ok());
  EXPECT_TRUE(CheckSlurmWorldSize(In(pmix), 4).ok());
  EXPECT_EQ(ExitCodeOf(CheckSlurmWorldSize(In(pmix), 1)), ExitCode::kUsage);
}

TEST(MpiEnvironmentTest, NamesTheLibraryWithoutStartingIt) {
  EXPECT_THAT(MpiLibraryVersion(), HasSubstr("MPI"));
}

// Runs under mpirun as a part of the test below: the last rank aborts while the others wait for it.
TEST(MpiAbortTest, DISABLED_LastRankAborts) {
  auto environment = MpiEnvironment::Create();
  ASSERT_TRUE(environment.ok()) << environment.status();
  auto world = (*environment)->World();
  ASSERT_TRUE(world.ok()) << world.status();
  if ((*world)->rank() == (*world)->world_size() - 1) {
    (*world)->Abort(DataError("day3.tsv:7: no item"));
  }
  Barrier((*world)->control()).IgnoreError();
  ADD_FAILURE() << "the world went on";
}

TEST(MpiAbortTest, EndsEveryRankWithTheCodeAndOneLine) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the MPI library is not built for the thread sanitizer";
#endif
  std::array<char, 4096> self{};
  ASSERT_GT(readlink("/proc/self/exe", self.data(), self.size() - 1), 0);
  const std::string command = absl::StrCat(
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ASAN_OPTIONS=detect_leaks=0 "
      "timeout 60 mpirun -np 3 --oversubscribe '",
      self.data(), "' --gtest_also_run_disabled_tests --gtest_filter='*LastRankAborts' 2>&1");

  FILE* run = popen(command.c_str(), "r");
  ASSERT_NE(run, nullptr);
  std::string output;
  std::array<char, 4096> piece{};
  while (fgets(piece.data(), static_cast<int>(piece.size()), run) != nullptr) {
    output += piece.data();
  }
  const int result = pclose(run);

  ASSERT_TRUE(WIFEXITED(result)) << output;
  EXPECT_EQ(WEXITSTATUS(result), static_cast<int>(ExitCode::kData)) << output;
  EXPECT_THAT(output, HasSubstr("torii: error[65]: day3.tsv:7: no item (rank 2)\n"));
  EXPECT_EQ(output.find("torii: error["), output.rfind("torii: error[")) << output;
}

}  // namespace
}  // namespace torii::comm
