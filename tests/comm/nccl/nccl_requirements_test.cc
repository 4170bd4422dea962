#include "comm/nccl/nccl_requirements.h"

#include <array>
#include <map>

#include "base/exit_code.h"
#include "comm/nccl/nccl_communicator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/nccl/fake_streams.h"

namespace torii::comm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(NcclRequirementsTest, WritesVersionsAsPeopleDo) {
  EXPECT_EQ(NcclVersionText(22809), "2.28.9");
  EXPECT_EQ(NcclVersionText(23000), "2.30.0");
  EXPECT_EQ(NcclVersionText(2708), "2.7.8");
}

TEST(NcclRequirementsTest, RefusesVersionsThatHang) {
  for (const int good : {22600, 22802, 22809, 22900, 23007}) {
    EXPECT_TRUE(CheckNcclVersions(22809, good).ok()) << good;
  }
  for (const auto& [bad, why] : std::map<int, std::string>{{22803, "2.28.3 may hang"},
                                                           {22808, "2.28.8 may hang"},
                                                           {22507, "2.25.7 is too old"},
                                                           {2708, "2.7.8 is too old"},
                                                           {30000, "compiled for 2.28.9"}}) {
    const absl::Status status = CheckNcclVersions(22809, bad);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
    EXPECT_THAT(Message(status), HasSubstr(why));
  }
}

TEST(NcclRequirementsTest, RefusesTwoRanksOnOneGpu) {
  const std::vector<std::string> apart = {"GPU-a", "GPU-b", "GPU-c"};
  const std::vector<std::string> shared = {"GPU-a", "GPU-b", "GPU-a"};
  EXPECT_TRUE(CheckOneRankPerGpu(apart, 22809, false).ok());
  EXPECT_TRUE(CheckOneRankPerGpu(shared, 23000, true).ok());
  for (const auto& [version, allowed] : {std::pair(22809, true), std::pair(23000, false)}) {
    const absl::Status status = CheckOneRankPerGpu(shared, version, allowed);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
    EXPECT_THAT(Message(status), HasSubstr("ranks 0 and 2 are on one GPU (GPU-a)"));
  }
  // As two hosts they talk through the network.
  EXPECT_NE(GpuIdentity("GPU-a", "one"), GpuIdentity("GPU-a", "two"));
  EXPECT_EQ(GpuIdentity("GPU-a", ""), "GPU-a");
}

TEST(NcclRequirementsTest, EveryRankHearsOfAMachineThatDoesNotFit) {
  const auto create = [](const std::function<std::string(int)>& identity) {
    std::array<absl::Status, 3> heard;
    const auto world = testing::MakeFakeWorld({});
    RunRanks(3, [&](Communicator& host) {
      const auto streams = std::make_shared<testing::FakeStreams>(
          testing::FakeStreamsOptions{.identity = identity(host.rank())});
      return heard[static_cast<size_t>(host.rank())] = CreateNccl(host, world, streams).status();
    }).IgnoreError();
    return heard;
  };
  {
    const testing::FakeNccl fake({.version = 22805});
    for (const absl::Status& mine : create([](int rank) { return absl::StrCat(rank); })) {
      EXPECT_THAT(Message(mine), HasSubstr("NCCL 2.28.5 may hang"));
    }
  }
  testing::FakeNccl fake;
  for (const absl::Status& mine : create([](int rank) { return rank == 0 ? "a" : "b"; })) {
    EXPECT_EQ(ExitCodeOf(mine), ExitCode::kConfig);
    EXPECT_THAT(Message(mine), HasSubstr("ranks 1 and 2 are on one GPU"));
  }
  EXPECT_EQ(fake.starts(), 0);
}

NcclEnvironment PlanWith(const std::map<std::string, std::string>& variables,
                         ExchangeConfig::Sums sums) {
  return PlanNcclEnvironment(
      [&](const std::string& name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::string() : found->second;
      },
      sums);
}

TEST(NcclEnvironmentTest, SetsWhatIsUnsetAndSaysSo) {
  const NcclEnvironment plan = PlanWith({}, ExchangeConfig::NCCL);
  EXPECT_THAT(plan.set,
              ElementsAre(Pair("NCCL_LAUNCH_ORDER_IMPLICIT", "1"), Pair("NCCL_NVLS_ENABLE", "0")));
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("sets NCCL_LAUNCH_ORDER_IMPLICIT=1"),
                                      HasSubstr("sets NCCL_NVLS_ENABLE=0")));
  EXPECT_FALSE(plan.several_ranks_per_gpu);
  // Where Torii adds, NVLS has no part.
  EXPECT_THAT(PlanWith({}, ExchangeConfig::RANK_ORDER).set,
              ElementsAre(Pair("NCCL_LAUNCH_ORDER_IMPLICIT", "1")));
}

TEST(NcclEnvironmentTest, LeavesAloneWhatIsSetAndWarnsOfHarm) {
  const NcclEnvironment plan = PlanWith({{"NCCL_LAUNCH_ORDER_IMPLICIT", "0"},
                                         {"NCCL_NVLS_ENABLE", "2"},
                                         {"NCCL_MULTI_RANK_GPU_ENABLE", "1"},
                                         {"NCCL_HOSTID", "left"}},
                                        ExchangeConfig::NCCL);
  EXPECT_THAT(plan.set, IsEmpty());
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("may wait for each other for ever"),
                                      HasSubstr("may differ from run to run")));
  EXPECT_TRUE(plan.several_ranks_per_gpu);
  EXPECT_EQ(plan.host_id, "left");
}

TEST(ChooseGpuTest, TakesLocalRankModuloVisibleDevices) {
  const auto device = [](int rank, int ranks, int visible) {
    return ChooseGpu(rank, ranks, visible)->device;
  };
  EXPECT_EQ(device(0, 1, 1), 0);
  EXPECT_EQ(device(3, 4, 4), 3);
  EXPECT_EQ(device(3, 4, 8), 3);
  EXPECT_EQ(device(5, 7, 3), 2);
  EXPECT_EQ(device(2, 3, 1), 0);
  EXPECT_EQ(ExitCodeOf(ChooseGpu(0, 1, 0).status()), ExitCode::kConfig);
}

TEST(ChooseGpuTest, WarnsWhereRanksShareWhatTheySee) {
  EXPECT_EQ(ChooseGpu(0, 1, 1)->warning, "");
  EXPECT_EQ(ChooseGpu(0, 4, 8)->warning, "");
  EXPECT_THAT(ChooseGpu(1, 4, 1)->warning,
              AllOf(HasSubstr("4 ranks"), HasSubstr("--gpu-bind=none")));
  EXPECT_THAT(ChooseGpu(1, 4, 2)->warning, HasSubstr("4 ranks of this node share 2 visible GPUs"));
}

}  // namespace
}  // namespace torii::comm
