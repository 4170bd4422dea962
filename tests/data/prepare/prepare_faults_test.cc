// Whatever fails while a dataset is prepared, the folder is there whole or not at all.
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/files/fault_file_system.h"
#include "data/prepare/prepare.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using testing::Int64s;
using testing::RawFolder;

constexpr char kConfig[] = R"(
    interactions { path: "$D/x.parquet" time: "t" } split { last_k: 1 } sort_buffer_rows: 2
    items { path: "$D/items.csv" title: "name" feature { column: "name" text {} }
            feature { column: "price" numeric {} } })";

void WriteRaw(const RawFolder& raw) {
  raw.WriteParquet("x.parquet", {{"user_id", Int64s({1, 1, 2, 1, 2})},
                                 {"item_id", Int64s({5, 6, 5, 7, 7})},
                                 {"t", Int64s({3, 1, 2, 2, 9})}});
  raw.Write("items.csv", "item_id,name,price\n5,Five,1\n6,Six,2\n7,Seven,\n");
}

// In memory where that is possible: the sweeps write some ten thousand small files, and a disk
// would sync each.
std::string FastFolder() {
  const auto info = LocalFiles().Info("/dev/shm");
  return info.ok() && info->is_directory ? "/dev/shm" : ::testing::TempDir();
}

// Prepares with the fault at each call in turn, from an empty place or over an older dataset.
void Sweep(FileFault fault, bool over_older) {
  const RawFolder raw(FastFolder());
  WriteRaw(raw);
  const DataConfig config = raw.Config(kConfig);
  const PrepareOptions options = {.force = true, .verbose = false};
  const auto reference = Prepare(LocalFiles(), config, options);
  ASSERT_TRUE(reference.ok()) << reference.status();
  int64_t failures = 0;
  for (int64_t at = 0;; ++at) {
    ASSERT_LT(at, 10000);
    if (!over_older) {
      ASSERT_TRUE(LocalFiles().RemoveAll(raw.prepared()).ok());
    }
    const auto files = FaultFileSystem::Create(LocalFiles(), fault, at);
    const auto result = Prepare(*files, config, options);
    if (files->calls() <= at) {
      ASSERT_TRUE(result.ok()) << result.status();
      break;
    }
    failures += result.ok() ? 0 : 1;
    if (!result.ok()) {
      EXPECT_EQ(ExitCodeOf(result.status()), ExitCode::kIo) << result.status();
    }
    const auto info = LocalFiles().Info(raw.prepared());
    ASSERT_TRUE(info.ok());
    if (info->exists) {
      EXPECT_TRUE(Dataset::Open(LocalFiles(), raw.prepared()).ok()) << "fault at call " << at;
    } else {
      EXPECT_FALSE(result.ok()) << "reported success, fault at call " << at;
    }
    // A disk that is full or fails once can still be cleaned; after a crash there is nobody to do
    // so.
    const bool crashed = fault == FileFault::kShortWrite || fault == FileFault::kPowerCut;
    const auto names = LocalFiles().List(raw.path());
    ASSERT_TRUE(names.ok());
    for (const std::string& name : *names) {
      if (name.starts_with(".prepared.")) {
        EXPECT_TRUE(crashed || result.ok()) << name << " is left, fault at call " << at;
        ASSERT_TRUE(LocalFiles().RemoveAll(raw.File(name)).ok());
      }
    }
    if (crashed && over_older && !info->exists) {
      ASSERT_TRUE(Prepare(LocalFiles(), config, options).ok());
    }
  }
  EXPECT_GT(failures, fault == FileFault::kShortRead ? 5 : 50);
}

TEST(PrepareFaultsTest, DiskFullLeavesNothingBehind) { Sweep(FileFault::kDiskFull, false); }
TEST(PrepareFaultsTest, DiskFullLeavesTheOlderDataset) { Sweep(FileFault::kDiskFull, true); }
TEST(PrepareFaultsTest, IoErrorLeavesNothingBehind) { Sweep(FileFault::kIoError, false); }
TEST(PrepareFaultsTest, ShortReadOfAnInputIsAnError) { Sweep(FileFault::kShortRead, false); }
TEST(PrepareFaultsTest, CrashLeavesNoHalfDataset) { Sweep(FileFault::kShortWrite, false); }
TEST(PrepareFaultsTest, PowerCutLeavesNoHalfDataset) { Sweep(FileFault::kPowerCut, false); }

TEST(PrepareFaultsTest, EveryFailpointEndsThePreparationCleanly) {
  const RawFolder raw;
  WriteRaw(raw);
  for (const char* name :
       {"prepare.read", "prepare.spill", "prepare.write", "prepare.before_commit"}) {
    for (const char* action : {"enospc", "error"}) {
      ASSERT_TRUE(ArmFailpoints(absl::StrCat(name, "=", action)).ok());
      const auto result = raw.Prepare(kConfig);
      ASSERT_TRUE(ArmFailpoints("").ok());
      EXPECT_FALSE(result.ok()) << name << " was not reached";
      EXPECT_THAT(*LocalFiles().List(raw.path()), ::testing::ElementsAre("items.csv", "x.parquet"));
    }
  }
  EXPECT_TRUE(raw.Prepare(kConfig).ok());
}

}  // namespace
}  // namespace torii::data
