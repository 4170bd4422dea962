#include "launch/process/gpu_doctor.h"

#include <cstring>
#include <string>

#include "comm/nccl/nccl_library.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "launch/process/examine_gpus.h"

namespace torii::launch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kGiB = int64_t{1} << 30;

GpuFacts SoundGpu() {
  return {.name = "NVIDIA H100 80GB HBM3",
          .uuid = "GPU-01020304-0506-0708-090a-0b0c0d0e0f10",
          .compute_major = 9,
          .compute_minor = 0,
          .multiprocessors = 132,
          .free_bytes = 78 * kGiB,
          .total_bytes = 80 * kGiB};
}

CudaFacts SoundMachine() {
  CudaFacts facts;
  facts.has_driver = true;
  facts.driver_version = "580.159.04";
  facts.plugin_path = "/opt/torii/lib/libtorii_cuda.so";
  facts.driver_cuda = facts.runtime = facts.compiled_runtime = 13000;
  facts.nccl_header = facts.nccl_library = 22809;
  facts.gpus = {SoundGpu(), SoundGpu()};
  return facts;
}

// The only finding, which must be there.
Finding Only(const CudaFacts& facts) {
  const std::vector<Finding> findings = DiagnoseGpus(facts);
  EXPECT_EQ(findings.size(), 1u);
  return findings.empty() ? Finding() : findings[0];
}

TEST(DiagnoseGpusTest, FindsNothingOnASoundMachine) {
  EXPECT_TRUE(DiagnoseGpus(SoundMachine()).empty());
}

TEST(DiagnoseGpusTest, FindsNothingWithoutADriver) {
  EXPECT_TRUE(DiagnoseGpus({}).empty());
  CudaFacts facts;
  facts.plugin_path = "/build/libtorii_cuda.so";
  facts.plugin_trouble = "libcufile.so.0: cannot open shared object file";
  EXPECT_TRUE(DiagnoseGpus(facts).empty());
  facts.plugin_trouble = "";
  facts.count_trouble = "no CUDA-capable device is detected";
  EXPECT_TRUE(DiagnoseGpus(facts).empty());
}

TEST(DiagnoseGpusTest, ADriverWithoutThePluginIsANote) {
  CudaFacts facts = SoundMachine();
  facts.plugin_path = "";
  facts.gpus.clear();
  const Finding finding = Only(facts);
  EXPECT_FALSE(finding.fatal);
  EXPECT_THAT(finding.what, HasSubstr("no libtorii_cuda.so"));
  EXPECT_THAT(finding.remedy, AllOf(HasSubstr("-DTORII_CUDA=ON"), HasSubstr("TORII_CUDA_PLUGIN")));
}

TEST(DiagnoseGpusTest, APluginThatCannotBeOpenedBesideADriverIsFatal) {
  CudaFacts facts = SoundMachine();
  facts.plugin_trouble = "libcufile.so.0: cannot open shared object file";
  facts.gpus.clear();
  const Finding finding = Only(facts);
  EXPECT_TRUE(finding.fatal);
  EXPECT_EQ(finding.what, facts.plugin_trouble);
}

TEST(DiagnoseGpusTest, ADriverThatIsTooOldIsSaidWithBothVersions) {
  CudaFacts facts = SoundMachine();
  facts.driver_cuda = 12040;
  facts.gpus.clear();
  facts.count_trouble = "CUDA driver version is insufficient for CUDA runtime version";
  const Finding finding = Only(facts);
  EXPECT_TRUE(finding.fatal);
  EXPECT_THAT(finding.what,
              AllOf(HasSubstr("580.159.04 knows CUDA 12.4"), HasSubstr("needs 13.0")));
  EXPECT_THAT(finding.remedy, HasSubstr("newer driver"));
  // Of one major version, the driver may be older than the runtime.
  facts.driver_cuda = 13000;
  facts.runtime = 13020;
  EXPECT_THAT(Only(facts).what, HasSubstr(facts.count_trouble));
}

TEST(DiagnoseGpusTest, GpusThatTheUserHasHiddenAreANote) {
  CudaFacts facts = SoundMachine();
  facts.gpus.clear();
  facts.count_trouble = "no CUDA-capable device is detected";
  EXPECT_TRUE(Only(facts).fatal);
  EXPECT_THAT(Only(facts).what, HasSubstr("no CUDA-capable device is detected"));
  facts.visible_devices = "";
  EXPECT_FALSE(Only(facts).fatal);
  EXPECT_THAT(Only(facts).what, HasSubstr("CUDA_VISIBLE_DEVICES=\"\""));
}

TEST(DiagnoseGpusTest, AGpuThatTheKernelsAreNotCompiledForIsFatal) {
  CudaFacts facts = SoundMachine();
  facts.gpus[1].name = "Tesla T4";
  facts.gpus[1].compute_major = 7;
  facts.gpus[1].compute_minor = 5;
  const Finding finding = Only(facts);
  EXPECT_TRUE(finding.fatal);
  EXPECT_THAT(finding.what, AllOf(HasSubstr("GPU 1 (Tesla T4)"), HasSubstr("7.5")));
  facts.gpus[1].compute_major = 8;
  facts.gpus[1].compute_minor = 0;
  EXPECT_TRUE(DiagnoseGpus(facts).empty());
}

TEST(DiagnoseGpusTest, AGpuThatFailsIsFatalAndNamed) {
  CudaFacts facts = SoundMachine();
  facts.gpus[0] = {.trouble = "uncorrectable ECC error encountered"};
  const Finding finding = Only(facts);
  EXPECT_TRUE(finding.fatal);
  EXPECT_THAT(finding.what, AllOf(HasSubstr("GPU 0"), HasSubstr("ECC")));
}

TEST(DiagnoseGpusTest, MemoryThatOthersUseIsANote) {
  CudaFacts facts = SoundMachine();
  facts.gpus[0].free_bytes = 40 * kGiB;
  EXPECT_TRUE(DiagnoseGpus(facts).empty());
  facts.gpus[0].free_bytes = 3 * kGiB;
  const Finding finding = Only(facts);
  EXPECT_FALSE(finding.fatal);
  EXPECT_THAT(finding.what, HasSubstr("only 3.0 of 80.0 GiB of GPU 0"));
}

TEST(DiagnoseGpusTest, AnNcclThatMayHangIsFatal) {
  CudaFacts facts = SoundMachine();
  facts.nccl_library = 22805;
  EXPECT_TRUE(Only(facts).fatal);
  EXPECT_THAT(Only(facts).what, HasSubstr("2.28.5"));
  facts.nccl_library = 0;
  EXPECT_TRUE(Only(facts).fatal);
  facts.nccl_header = 0;
  EXPECT_FALSE(Only(facts).fatal);
  EXPECT_THAT(Only(facts).what, HasSubstr("without NCCL"));
}

TEST(DescribeGpusTest, NamesVersionsAndEveryGpu) {
  CudaFacts facts = SoundMachine();
  facts.compiled_runtime = 12040;
  facts.gpus[1] = {.trouble = "busy"};
  EXPECT_EQ(DescribeGpus(facts),
            "driver      580.159.04, CUDA 13.0\n"
            "plug-in     /opt/torii/lib/libtorii_cuda.so\n"
            "CUDA        13.0, plug-in compiled with 12.4\n"
            "NCCL        2.28.9, header 2.28.9\n"
            "GPU 0       NVIDIA H100 80GB HBM3, compute capability 9.0, 132 multiprocessors, 78.0 "
            "of 80.0 GiB free, GPU-01020304-0506-0708-090a-0b0c0d0e0f10\n"
            "GPU 1       cannot be used: busy\n");
}

TEST(DescribeGpusTest, SaysWhatIsMissing) {
  EXPECT_EQ(DescribeGpus({}), "driver      none\nplug-in     none\n");
  CudaFacts facts;
  facts.plugin_path = "/build/libtorii_cuda.so";
  facts.plugin_trouble = "libcufile.so.0 is missing";
  EXPECT_THAT(DescribeGpus(facts),
              HasSubstr("/build/libtorii_cuda.so cannot be opened: libcufile.so.0 is missing\n"));
  facts.plugin_trouble = "";
  facts.count_trouble = "no driver";
  EXPECT_THAT(DescribeGpus(facts),
              AllOf(HasSubstr("NCCL        not in the plug-in\n"),
                    HasSubstr("GPU         none: no driver\n"), Not(HasSubstr("GPU 0"))));
}

TEST(DriverVersionTest, StandsInTheFirstLineOfEitherModule) {
  EXPECT_EQ(
      DriverVersionIn("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Tue Apr 1 2025\n"
                      "GCC version:  gcc version 12.3.0\n"),
      "580.159.04");
  EXPECT_EQ(DriverVersionIn("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  "
                            "Release Build\n"),
            "575.57.08");
  EXPECT_EQ(DriverVersionIn(""), "");
  EXPECT_EQ(DriverVersionIn("no number here\nGCC version:  12.3.0\n"), "");
}

TEST(UuidTextTest, IsWrittenAsNvidiaSmiDoes) {
  char bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = static_cast<char>(i == 0 ? 0xfe : i);
  EXPECT_EQ(UuidText(bytes), "GPU-fe010203-0405-0607-0809-0a0b0c0d0e0f");
}

// A plug-in for two GPUs, the second of which fails.
kernels::CudaPlugin TwoGpus(const comm::NcclLibrary* nccl) {
  kernels::CudaPlugin plugin = {};
  plugin.compiled_runtime = 13000;
  plugin.nccl = nccl;
  plugin.versions = [](int* driver, int* runtime) -> kernels::CudaFailure {
    *driver = 13010;
    *runtime = 13000;
    return nullptr;
  };
  plugin.count_gpus = [](int* gpus) -> kernels::CudaFailure {
    *gpus = 2;
    return nullptr;
  };
  plugin.properties = [](int gpu, kernels::GpuProperties* properties) -> kernels::CudaFailure {
    if (gpu == 1) return "unspecified launch failure";
    std::strcpy(properties->name, "A GPU");
    properties->compute_major = 8;
    properties->multiprocessors = 108;
    return nullptr;
  };
  plugin.memory = [](int, int64_t* free_bytes, int64_t* total_bytes) -> kernels::CudaFailure {
    *free_bytes = 1;
    *total_bytes = 2;
    return nullptr;
  };
  return plugin;
}

TEST(AskPluginTest, TellsVersionsAndGpus) {
  comm::NcclLibrary nccl = {};
  nccl.header_version = 22809;
  nccl.get_version = [](int* version) {
    *version = 22907;
    return comm::NcclResult::kSuccess;
  };
  CudaFacts facts;
  AskPlugin(TwoGpus(&nccl), &facts);
  EXPECT_EQ(facts.driver_cuda, 13010);
  EXPECT_EQ(facts.runtime, 13000);
  EXPECT_EQ(facts.nccl_header, 22809);
  EXPECT_EQ(facts.nccl_library, 22907);
  ASSERT_EQ(facts.gpus.size(), 2u);
  EXPECT_EQ(facts.gpus[0].name, "A GPU");
  EXPECT_EQ(facts.gpus[0].total_bytes, 2);
  EXPECT_EQ(facts.gpus[1].trouble, "unspecified launch failure");
}

TEST(AskPluginTest, WithoutNcclAndGpus) {
  kernels::CudaPlugin plugin = TwoGpus(nullptr);
  plugin.count_gpus = [](int* gpus) -> kernels::CudaFailure {
    *gpus = 0;
    return "no CUDA-capable device is detected";
  };
  CudaFacts facts;
  AskPlugin(plugin, &facts);
  EXPECT_EQ(facts.nccl_header, 0);
  EXPECT_TRUE(facts.gpus.empty());
  EXPECT_EQ(facts.count_trouble, "no CUDA-capable device is detected");
}

}  // namespace
}  // namespace torii::launch
