#include "launch/process/run_device.h"

#include <cstdlib>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii::launch {
namespace {

using ::testing::HasSubstr;

// The plug-in is where nobody put one.
class RunDeviceTest : public ::testing::Test {
 protected:
  RunDeviceTest() { ::setenv("TORII_CUDA_PLUGIN", "/nowhere/libtorii_cuda.so", 1); }
  ~RunDeviceTest() override { ::unsetenv("TORII_CUDA_PLUGIN"); }
};

TEST_F(RunDeviceTest, TheCpuNeedsNothingAndSaysNothing) {
  const auto device = RunDevice::Open("cpu");
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_FALSE(device->is_gpu());
  EXPECT_EQ(device->note(), "");
  EXPECT_STREQ(device->OfRank(3, 4)->name(), "cpu");
}

TEST_F(RunDeviceTest, AutoSaysWhyItTakesTheCpu) {
  const auto device = RunDevice::Open("auto");
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_FALSE(device->is_gpu());
  EXPECT_THAT(device->note(), HasSubstr("device: cpu (the plug-in for GPUs cannot be opened"));
  EXPECT_STREQ(device->OfRank(0, 1)->name(), "cpu");
}

TEST_F(RunDeviceTest, CudaWithoutAPlugInSaysWhatToInstall) {
  const auto device = RunDevice::Open("cuda");
  EXPECT_EQ(ExitCodeOf(device.status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(device.status().message()),
              HasSubstr("--device cuda: the plug-in for GPUs cannot be opened: /nowhere/"));
  EXPECT_THAT(std::string(device.status().message()), HasSubstr("pip install torch"));
}

TEST_F(RunDeviceTest, OtherWordsAreRefusedWithThoseThatAreNot) {
  const auto device = RunDevice::Open("gpu");
  EXPECT_EQ(ExitCodeOf(device.status()), ExitCode::kUsage);
  EXPECT_THAT(std::string(device.status().message()), HasSubstr("auto, cpu, cuda and emulated"));
}

TEST_F(RunDeviceTest, EmulatedRunsAGpusKernels) {
  const auto device = RunDevice::Open("emulated");
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_STREQ(device->OfRank(0, 1)->name(), "emulated");
}

}  // namespace
}  // namespace torii::launch
