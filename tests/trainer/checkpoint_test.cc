#include "trainer/checkpoint.h"

#include <ATen/ATen.h>

#include "base/exit_code.h"
#include "base/fault_file_system.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"

namespace torii::trainer {
namespace {

constexpr int64_t kRows = 11;

std::string Folder(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "/checkpoint_test_" + name;
  EXPECT_TRUE(LocalFiles().RemoveAll(folder).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(folder).ok());
  return folder;
}

// A table whose row r holds 100 r + column, its optimizer state, and replicated weights.
struct State {
  State(int rank, int world, bool filled)
      : table(at::zeros({OwnedRows(kRows, rank, world), 3}, at::kFloat)),
        sums(at::zeros({OwnedRows(kRows, rank, world)}, at::kFloat)),
        dense(at::zeros({5}, at::kFloat)) {
    if (!filled) return;
    for (int64_t i = 0; i < table.size(0); ++i) {
      const int64_t row = rank + i * world;
      for (int64_t k = 0; k < 3; ++k) table[i][k] = static_cast<double>(100 * row + k);
      sums[i] = static_cast<double>(-row);
    }
    dense.copy_(at::arange(5, at::kFloat));
  }
  std::vector<CheckpointTensor> Tensors() const {
    return {{"t.weight", table, true, kRows},
            {"t.adagrad", sums, true, kRows},
            {"dense", dense, false, 0}};
  }
  at::Tensor table, sums, dense;
};

CheckpointInfo Info(int world) {
  CheckpointInfo info;
  info.progress = {.step = 12,
                   .epoch = 1,
                   .step_in_epoch = 2,
                   .rows_seen = 99,
                   .best_metric = 0.1 + 0.2,
                   .best_step = 10,
                   .evaluations_without_gain = 1,
                   .loss_sum = 1.0 / 3.0,
                   .loss_weight = 7};
  info.world_size = world;
  info.config = "model { dim: 3 }";
  info.data_digest = "abc";
  return info;
}

absl::Status Save(FileSystem& files, comm::Communicator& comm, const std::string& folder) {
  const State state(comm.rank(), comm.world_size(), true);
  return SaveCheckpoint(files, comm, folder, state.Tensors(), Info(comm.world_size())).status();
}

TEST(CheckpointTest, LoadsOnAnyNumberOfRanks) {
  for (const int writers : {1, 2, 3, 4, 13}) {
    const std::string folder = Folder("any");
    testing::RunOnRanks(writers,
                        [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
    const std::string path = folder + "/step-00000012";
    for (const int readers : {1, 2, 3, 4, 8, 13}) {
      testing::RunOnRanks(readers, [&](comm::Communicator& comm) -> absl::Status {
        const State want(comm.rank(), readers, true);
        State got(comm.rank(), readers, false);
        TORII_ASSIGN_OR_RETURN(const CheckpointInfo info,
                               LoadCheckpoint(LocalFiles(), comm, path, got.Tensors()));
        TORII_EXPECT_OR_RETURN(at::equal(got.table, want.table));
        TORII_EXPECT_OR_RETURN(at::equal(got.sums, want.sums));
        TORII_EXPECT_OR_RETURN(at::equal(got.dense, want.dense));
        TORII_EXPECT_OR_RETURN(info.progress.best_metric == 0.1 + 0.2);
        TORII_EXPECT_OR_RETURN(info.progress.loss_sum == 1.0 / 3.0);
        TORII_EXPECT_OR_RETURN(info.progress.step_in_epoch == 2);
        TORII_EXPECT_OR_RETURN(info.world_size == writers);
        return absl::OkStatus();
      });
    }
  }
}

TEST(CheckpointTest, DigestDoesNotDependOnTheNumberOfWriters) {
  std::vector<std::vector<std::pair<std::string, std::string>>> digests;
  for (const int writers : {1, 2, 5}) {
    const std::string folder = Folder("digest");
    testing::RunOnRanks(writers,
                        [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
    const auto digest = CheckpointDigests(LocalFiles(), folder + "/step-00000012");
    ASSERT_TRUE(digest.ok()) << digest.status();
    digests.push_back(*digest);
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_EQ(digests[0], digests[2]);
  EXPECT_EQ(digests[0].front().first, "total");
}

TEST(CheckpointTest, RefusesAnotherModel) {
  const std::string folder = Folder("model");
  testing::RunOnRanks(2,
                      [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
  testing::RunOnRanks(1, [&](comm::Communicator& comm) -> absl::Status {
    State state(0, 1, false);
    auto tensors = state.Tensors();
    tensors[0].name = "u.weight";
    const auto missing = LoadCheckpoint(LocalFiles(), comm, folder + "/step-00000012", tensors);
    TORII_EXPECT_OR_RETURN(ExitCodeOf(missing.status()) == ExitCode::kConfig);
    tensors = state.Tensors();
    tensors[0].tensor = at::zeros({kRows, 4}, at::kFloat);
    const auto shape = LoadCheckpoint(LocalFiles(), comm, folder + "/step-00000012", tensors);
    TORII_EXPECT_OR_RETURN(ExitCodeOf(shape.status()) == ExitCode::kConfig);
    return absl::OkStatus();
  });
}

// Every byte of every file: flipped, it is noticed and the older checkpoint is used.
TEST(CheckpointTest, FindsEveryFlippedByte) {
  const std::string folder = Folder("flip");
  testing::RunOnRanks(2,
                      [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
  const std::string path = folder + "/step-00000012";
  const std::vector<std::string> names = *LocalFiles().List(path);
  ASSERT_EQ(names.size(), 4u);
  for (const std::string& name : names) {
    const std::string file = path + "/" + name;
    const std::string content = *ReadFile(LocalFiles(), file);
    for (size_t i = 0; i < content.size(); ++i) {
      std::string damaged = content;
      damaged[i] = static_cast<char>(damaged[i] ^ 4);
      ASSERT_TRUE(WriteFileAtomically(LocalFiles(), file, damaged).ok());
      const auto info = ReadCheckpointInfo(LocalFiles(), path, /*verify_content=*/true);
      // White space of the manifest carries nothing.
      if (info.ok()) {
        EXPECT_TRUE(name == "manifest.json" && std::isspace(content[i])) << name << i;
      }
    }
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), file, content).ok());
  }
}

TEST(CheckpointTest, NewestSkipsWhatIsDamagedOrUnfinished) {
  const std::string folder = Folder("newest");
  EXPECT_EQ(*NewestCheckpoint(LocalFiles(), folder + "/none"), std::nullopt);
  testing::RunOnRanks(1,
                      [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
  ASSERT_TRUE(LocalFiles().MakeDirectories(folder + "/step-00000099").ok());
  ASSERT_TRUE(LocalFiles().MakeDirectories(folder + "/step-00000100.partial").ok());
  EXPECT_EQ(*NewestCheckpoint(LocalFiles(), folder), folder + "/step-00000012");
}

TEST(CheckpointTest, PruneKeepsTheNewestAndTheBest) {
  const std::string folder = Folder("prune");
  for (const char* step : {"1", "2", "3", "4", "5"}) {
    ASSERT_TRUE(LocalFiles().MakeDirectories(folder + "/step-0000000" + step).ok());
  }
  ASSERT_TRUE(PruneCheckpoints(LocalFiles(), folder, 2, /*best_step=*/2).ok());
  EXPECT_EQ(*LocalFiles().List(folder),
            (std::vector<std::string>{"step-00000002", "step-00000004", "step-00000005"}));
}

// A fault at any file call: either the checkpoint is there and whole, or there is an error and the
// older one still loads; after a power cut too.
TEST(CheckpointTest, SurvivesAFaultAtAnyCall) {
  const auto calls = [] {
    auto files = FaultFileSystem::Create(LocalFiles(), FileFault::kNone, 0);
    const std::string folder = Folder("count");
    testing::RunOnRanks(1, [&](comm::Communicator& comm) { return Save(*files, comm, folder); });
    return files->calls();
  }();
  ASSERT_GT(calls, 5);
  for (const FileFault fault :
       {FileFault::kIoError, FileFault::kDiskFull, FileFault::kShortWrite, FileFault::kPowerCut}) {
    for (int64_t at = 0; at < calls; ++at) {
      const std::string folder = Folder("fault");
      auto files = FaultFileSystem::Create(LocalFiles(), fault, at);
      const absl::Status saved =
          comm::RunRanks(1, [&](comm::Communicator& comm) { return Save(*files, comm, folder); });
      if (fault == FileFault::kPowerCut) {
        ASSERT_TRUE(files->DropUnsynced().ok());
      }
      const auto newest = NewestCheckpoint(LocalFiles(), folder);
      ASSERT_TRUE(newest.ok());
      if (saved.ok()) {
        EXPECT_TRUE(newest->has_value()) << "acknowledged but lost, call " << at;
      }
      const auto names = LocalFiles().List(folder);
      for (const std::string& name : *names) {
        if (name.ends_with(".partial")) {
          EXPECT_TRUE(fault == FileFault::kPowerCut || fault == FileFault::kShortWrite)
              << "left behind: " << name << ", call " << at;
        }
      }
    }
  }
}

}  // namespace
}  // namespace torii::trainer
