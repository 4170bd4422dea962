#include "kernels/cuda_plugin.h"

#include <cstdlib>
#include <string>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii::kernels {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string MessageOf(const std::string& path) {
  const absl::StatusOr<const CudaPlugin*> plugin = OpenCudaPlugin(path);
  EXPECT_FALSE(plugin.ok());
  EXPECT_EQ(ExitCodeOf(plugin.status()), ExitCode::kConfig);
  return std::string(plugin.status().message());
}

TEST(CudaPluginTest, AMissingFileIsSaidWithWhatToInstall) {
  EXPECT_THAT(MessageOf("/nowhere/libtorii_cuda.so"),
              AllOf(HasSubstr("/nowhere/libtorii_cuda.so"), HasSubstr("-DTORII_CUDA=ON"),
                    HasSubstr("pip install")));
}

TEST(CudaPluginTest, AnotherLibraryIsNoPlugin) {
  EXPECT_THAT(MessageOf("libm.so.6"), HasSubstr("libm.so.6 is not Torii's plug-in"));
}

TEST(CudaPluginTest, AnotherVersionIsRefused) {
  EXPECT_THAT(MessageOf(TORII_BINARY_DIR "/tests/libother_version_plugin.so"),
              HasSubstr("is of version -1, the program needs version"));
}

CudaPlugin PluginWith(CudaFailure (*count_gpus)(int*)) {
  CudaPlugin plugin{};
  plugin.version = kCudaPluginVersion;
  plugin.count_gpus = count_gpus;
  return plugin;
}

TEST(CudaPluginTest, NoGpuIsAnErrorThatSaysWhy) {
  const auto message = [](CudaFailure (*count_gpus)(int*)) {
    return std::string(CountGpus(PluginWith(count_gpus)).status().message());
  };
  EXPECT_THAT(message([](int* gpus) -> CudaFailure {
                *gpus = 0;
                return "no driver";
              }),
              AllOf(HasSubstr("no driver"), HasSubstr("nvidia-smi")));
  EXPECT_THAT(message([](int* gpus) -> CudaFailure {
                *gpus = 0;
                return nullptr;
              }),
              HasSubstr("CUDA sees none"));
  EXPECT_EQ(*CountGpus(PluginWith([](int* gpus) -> CudaFailure {
    *gpus = 3;
    return nullptr;
  })),
            3);
}

// The plug-in itself, where it was built (cuda_load_test of CTest).
TEST(CudaPluginTest, ThePluginOpensAndCountsTheGpus) {
  const char* const path = std::getenv("TORII_CUDA_PLUGIN");
  if (path == nullptr) GTEST_SKIP() << "TORII_CUDA_PLUGIN names no plug-in";
  const absl::StatusOr<const CudaPlugin*> plugin = OpenCudaPlugin(path);
  ASSERT_TRUE(plugin.ok()) << plugin.status();
  EXPECT_NE((*plugin)->kernels->softmax, nullptr);
  const absl::StatusOr<int> gpus = CountGpus(**plugin);
  if (gpus.ok()) {
    EXPECT_GE(*gpus, 1);
  } else {
    EXPECT_THAT(std::string(gpus.status().message()), HasSubstr("no GPU can be used: "));
  }
}

}  // namespace
}  // namespace torii::kernels
