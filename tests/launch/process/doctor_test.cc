#include "launch/process/doctor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii::launch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

MachineFacts SoundMachine() {
  MachineFacts facts;
  facts.libraries = {"/env/site-packages/torch/lib/libtorch_cpu.so", "/env/lib/libgomp.so.1",
                     "/env/site-packages/nvidia/lib/libcudart.so.13"};
  facts.allowed_cores = facts.machine_cores = 4;
  facts.mpirun = "/usr/bin/mpirun";
  facts.write_folder = ".";
  return facts;
}

// The only finding on a machine, which must be there.
Finding Only(const MachineFacts& facts) {
  const std::vector<Finding> findings = Diagnose(facts);
  EXPECT_EQ(findings.size(), 1u);
  return findings.empty() ? Finding() : findings[0];
}

TEST(DiagnoseTest, FindsNothingOnASoundMachine) { EXPECT_TRUE(Diagnose(SoundMachine()).empty()); }

TEST(DiagnoseTest, AFolderThatCannotBeWrittenIsFatal) {
  MachineFacts facts = SoundMachine();
  facts.write_folder = "runs/x";
  facts.write_trouble = "runs/x: create: Permission denied";
  const Finding finding = Only(facts);
  EXPECT_TRUE(finding.fatal);
  EXPECT_EQ(finding.what, "runs/x: create: Permission denied");
  EXPECT_THAT(finding.remedy, HasSubstr("Make runs/x writable"));
}

TEST(DiagnoseTest, TwoCopiesOfALibraryAreFatal) {
  MachineFacts facts = SoundMachine();
  facts.libraries.push_back("/usr/lib/libgomp.so.1");
  const Finding finding = Only(facts);
  EXPECT_TRUE(finding.fatal);
  EXPECT_THAT(finding.what, AllOf(HasSubstr("libgomp.so"), HasSubstr("/env/lib/libgomp.so.1"),
                                  HasSubstr("/usr/lib/libgomp.so.1")));
  EXPECT_THAT(finding.remedy, HasSubstr("LD_PRELOAD"));
}

TEST(DiagnoseTest, ALocaleWithOtherNumbersIsFatal) {
  MachineFacts facts = SoundMachine();
  facts.numeric_locale = "de_DE.UTF-8";
  const Finding finding = Only(facts);
  EXPECT_TRUE(finding.fatal);
  EXPECT_THAT(finding.what, HasSubstr("de_DE.UTF-8"));
  EXPECT_EQ(finding.remedy, "export LC_NUMERIC=C");
}

TEST(DiagnoseTest, NoLauncherIsANote) {
  MachineFacts facts = SoundMachine();
  facts.mpirun = "";
  const Finding finding = Only(facts);
  EXPECT_FALSE(finding.fatal);
  EXPECT_THAT(finding.what, HasSubstr("neither mpirun nor srun"));
  facts.srun = "/usr/bin/srun";
  EXPECT_TRUE(Diagnose(facts).empty());
}

TEST(DiagnoseTest, RootWithoutPermissionToStartRanksIsANote) {
  MachineFacts facts = SoundMachine();
  facts.is_root = true;
  const Finding finding = Only(facts);
  EXPECT_FALSE(finding.fatal);
  EXPECT_THAT(finding.what, HasSubstr("root"));
  EXPECT_THAT(finding.remedy, HasSubstr("OMPI_ALLOW_RUN_AS_ROOT=1"));
  facts.root_allowed = true;
  EXPECT_TRUE(Diagnose(facts).empty());
}

TEST(DiagnoseTest, FewerCoresThanTheMachineHasIsANote) {
  MachineFacts facts = SoundMachine();
  facts.allowed_cores = 1;
  const Finding finding = Only(facts);
  EXPECT_FALSE(finding.fatal);
  EXPECT_THAT(finding.what, HasSubstr("1 of 4 cores"));
}

TEST(DiagnoseTest, CudaLibrariesOfTheSystemAreANote) {
  MachineFacts facts = SoundMachine();
  facts.libraries.back() = "/usr/local/cuda/lib64/libcudart.so.13";
  const Finding finding = Only(facts);
  EXPECT_FALSE(finding.fatal);
  EXPECT_THAT(finding.what, HasSubstr("/usr/local/cuda/lib64/libcudart.so.13"));
}

TEST(DescribeMachineTest, NamesTheLibrariesAndThoseThatAreMissing) {
  const std::string text = DescribeMachine(SoundMachine());
  EXPECT_NE(text.find("torch_cpu   /env/site-packages/torch/lib/libtorch_cpu.so\n"),
            std::string::npos);
  EXPECT_NE(text.find("arrow       not loaded\n"), std::string::npos);
  EXPECT_NE(text.find("cores       4 of 4, OMP_NUM_THREADS not set\n"), std::string::npos);
}

}  // namespace
}  // namespace torii::launch
