#include "launch/process/doctor.h"

#include "gtest/gtest.h"

namespace torii::launch {
namespace {

MachineFacts SoundMachine() {
  MachineFacts facts;
  facts.libraries = {"/env/site-packages/torch/lib/libtorch_cpu.so", "/env/lib/libgomp.so.1",
                     "/env/site-packages/nvidia/lib/libcudart.so.13"};
  facts.allowed_cores = facts.machine_cores = 4;
  facts.mpirun = "/usr/bin/mpirun";
  facts.write_folder = ".";
  return facts;
}

int Fatal(const MachineFacts& facts) {
  int fatal = 0;
  for (const Finding& finding : Diagnose(facts)) {
    EXPECT_FALSE(finding.what.empty());
    EXPECT_FALSE(finding.remedy.empty());
    fatal += finding.fatal ? 1 : 0;
  }
  return fatal;
}

TEST(DiagnoseTest, FindsNothingOnASoundMachine) { EXPECT_TRUE(Diagnose(SoundMachine()).empty()); }

TEST(DiagnoseTest, UnwritableFolderTwoCopiesAndLocaleAreFatal) {
  MachineFacts unwritable = SoundMachine();
  unwritable.write_trouble = "./x: create: Permission denied";
  EXPECT_EQ(Fatal(unwritable), 1);
  MachineFacts twice = SoundMachine();
  twice.libraries.push_back("/usr/lib/libgomp.so.1");
  EXPECT_EQ(Fatal(twice), 1);
  MachineFacts locale = SoundMachine();
  locale.numeric_locale = "de_DE.UTF-8";
  EXPECT_EQ(Fatal(locale), 1);
}

TEST(DiagnoseTest, MissingLaunchersAndFewCoresAreNotes) {
  MachineFacts alone = SoundMachine();
  alone.mpirun = "";
  EXPECT_EQ(Diagnose(alone).size(), 1u);
  alone.srun = "/usr/bin/srun";
  EXPECT_TRUE(Diagnose(alone).empty());
  MachineFacts bound = SoundMachine();
  bound.allowed_cores = 1;
  EXPECT_EQ(Diagnose(bound).size(), 1u);
  MachineFacts root = SoundMachine();
  root.is_root = true;
  EXPECT_EQ(Diagnose(root).size(), 1u);
  root.root_allowed = true;
  EXPECT_TRUE(Diagnose(root).empty());
  MachineFacts toolkit = SoundMachine();
  toolkit.libraries.back() = "/usr/local/cuda/lib64/libcudart.so.13";
  EXPECT_EQ(Diagnose(toolkit).size(), 1u);
  EXPECT_EQ(Fatal(alone) + Fatal(bound) + Fatal(root) + Fatal(toolkit), 0);
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
