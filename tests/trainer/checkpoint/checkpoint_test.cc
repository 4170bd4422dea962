#include "trainer/checkpoint/checkpoint.h"

#include <ATen/ATen.h>

#include <cmath>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/files/fault_file_system.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"
#include "trainer/checkpoint/checkpoint_store.h"

namespace torii::trainer {
namespace {

constexpr int64_t kRows = 11;

std::string Folder(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "/checkpoint_test_" + name;
  EXPECT_TRUE(LocalFiles().RemoveAll(folder).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(folder).ok());
  return folder;
}

// A table whose row r holds 100 r + column, its optimizer state, and replicated weights of several
// types.
struct State {
  State(Partition::Kind kind, int rank, int world, bool filled)
      : partition(kind, kRows, world),
        table(at::zeros({partition.OwnedRows(rank), 4}, at::kFloat).narrow(1, 0, 3)),
        counts(at::zeros({partition.OwnedRows(rank)}, at::kLong)),
        dense(at::zeros({5}, at::kFloat)),
        half(at::zeros({2, 2}, at::kBFloat16)),
        scalar(at::zeros({}, at::kDouble)) {
    if (!filled) return;
    for (int64_t i = 0; i < table.size(0); ++i) {
      const int64_t row = partition.Row(rank, i);
      for (int64_t k = 0; k < 3; ++k) table[i][k] = static_cast<double>(100 * row + k);
      counts[i] = -row;
    }
    dense.copy_(at::arange(5, at::kFloat));
    half.fill_(0.5);
    scalar.fill_(1.0 / 3.0);
    text = "step: 12";
  }
  StateRegistry Registry() {
    StateRegistry state;
    state.Add({.name = "t.weight", .tensor = table, .partition = partition});
    state.Add({.name = "t.counts", .tensor = counts, .partition = partition});
    state.Add({.name = "dense", .tensor = dense});
    state.Add({.name = "half", .tensor = half});
    state.Add({.name = "scalar", .tensor = scalar});
    state.Add(StateMessage{"text", [this] { return text; },
                           [this](const std::string& loaded) {
                             text = loaded;
                             return absl::OkStatus();
                           }});
    return state;
  }
  Partition partition;
  at::Tensor table, counts, dense, half, scalar;
  std::string text;
};

CheckpointInfo Identity() {
  CheckpointInfo info;
  info.step = 12;
  info.config = "model { dim: 3 }";
  info.data_digest = "abc";
  return info;
}

absl::Status Save(FileSystem& files, comm::Communicator& comm, const std::string& folder,
                  Partition::Kind kind = Partition::Kind::kRowModWorld) {
  State state(kind, comm.rank(), comm.world_size(), true);
  return SaveCheckpoint(files, comm, folder, state.Registry(), Identity()).status();
}

absl::Status ExpectLoads(comm::Communicator& comm, const std::string& path, Partition::Kind kind,
                         int writers) {
  State want(kind, comm.rank(), comm.world_size(), true);
  State got(kind, comm.rank(), comm.world_size(), false);
  TORII_ASSIGN_OR_RETURN(const CheckpointInfo info,
                         LoadCheckpoint(LocalFiles(), comm, path, got.Registry()));
  TORII_EXPECT_OR_RETURN(at::equal(got.table, want.table));
  TORII_EXPECT_OR_RETURN(at::equal(got.counts, want.counts));
  TORII_EXPECT_OR_RETURN(at::equal(got.dense, want.dense));
  TORII_EXPECT_OR_RETURN(at::equal(got.half, want.half));
  TORII_EXPECT_OR_RETURN(at::equal(got.scalar, want.scalar));
  TORII_EXPECT_OR_RETURN(got.text == want.text);
  TORII_EXPECT_OR_RETURN(info.step == 12 && info.world_size == writers);
  TORII_EXPECT_OR_RETURN(info.data_digest == "abc" && info.config == "model { dim: 3 }");
  return absl::OkStatus();
}

TEST(CheckpointTest, LoadsOnAnyNumberOfRanks) {
  const auto kind = Partition::Kind::kRowModWorld;
  for (const int writers : {1, 2, 3, 4, 13}) {
    const std::string folder = Folder("any");
    testing::RunOnRanks(writers,
                        [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
    for (const int readers : {1, 2, 3, 4, 8, 13}) {
      testing::RunOnRanks(readers, [&](comm::Communicator& comm) {
        return ExpectLoads(comm, CheckpointPath(folder, 12), kind, writers);
      });
    }
  }
}

TEST(CheckpointTest, LoadsIntoAnyPartition) {
  const auto kinds = {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks,
                      Partition::Kind::kReplicated};
  for (const Partition::Kind written : kinds) {
    const std::string folder = Folder("partitions");
    testing::RunOnRanks(
        3, [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder, written); });
    for (const Partition::Kind read : kinds) {
      for (const int readers : {1, 2, 3, 13}) {
        testing::RunOnRanks(readers, [&](comm::Communicator& comm) {
          return ExpectLoads(comm, CheckpointPath(folder, 12), read, 3);
        });
      }
    }
  }
}

TEST(CheckpointTest, RefusesToSaveWhatIsNotFinite) {
  for (const double bad : {double{INFINITY}, -double{INFINITY}, double{NAN}}) {
    const std::string folder = Folder("finite");
    testing::RunOnRanks(3, [&](comm::Communicator& comm) -> absl::Status {
      State state(Partition::Kind::kRowModWorld, comm.rank(), 3, true);
      if (comm.rank() == 1) state.table[2][1] = bad;  // row 1 + 2 * 3
      const absl::Status saved =
          SaveCheckpoint(LocalFiles(), comm, folder, state.Registry(), Identity()).status();
      TORII_EXPECT_OR_RETURN(ExitCodeOf(saved) == ExitCode::kDiverged);
      TORII_EXPECT_OR_RETURN(absl::StrContains(saved.message(), "row 7 of 't.weight'"));
      return absl::OkStatus();
    });
    EXPECT_TRUE(LocalFiles().List(folder)->empty());
  }
}

TEST(CheckpointTest, DigestDoesNotDependOnTheNumberOfWriters) {
  std::vector<std::vector<std::pair<std::string, std::string>>> digests;
  for (const int writers : {1, 2, 5}) {
    const std::string folder = Folder("digest");
    testing::RunOnRanks(writers,
                        [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
    const auto digest = CheckpointDigests(LocalFiles(), CheckpointPath(folder, 12));
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
  const Partition all = Partition::RowModWorld(kRows, 1);
  const std::vector<StateTensor> others = {
      {.name = "u.weight", .tensor = at::zeros({kRows, 3}), .partition = all},
      {.name = "t.weight", .tensor = at::zeros({kRows, 4}), .partition = all},
      {.name = "t.weight", .tensor = at::zeros({kRows, 3}, at::kDouble), .partition = all},
      {.name = "t.weight", .tensor = at::zeros({3}), .partition = std::nullopt},
      {.name = "dense", .tensor = at::zeros({}), .partition = std::nullopt}};
  for (const StateTensor& other : others) {
    testing::RunOnRanks(1, [&](comm::Communicator& comm) -> absl::Status {
      StateRegistry state;
      state.Add(other);
      const absl::Status loaded =
          LoadCheckpoint(LocalFiles(), comm, CheckpointPath(folder, 12), state).status();
      TORII_EXPECT_OR_RETURN(ExitCodeOf(loaded) == ExitCode::kConfig);
      TORII_EXPECT_OR_RETURN(absl::StrContains(loaded.message(), other.name));
      return absl::OkStatus();
    });
  }
}

TEST(CheckpointTest, RefusesACheckpointWithoutARegisteredMessage) {
  const std::string folder = Folder("message");
  testing::RunOnRanks(1,
                      [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
  testing::RunOnRanks(1, [&](comm::Communicator& comm) -> absl::Status {
    StateRegistry state;
    state.Add(StateMessage{"queue", [] { return ""; },
                           [](const std::string&) { return absl::OkStatus(); }});
    const absl::Status loaded =
        LoadCheckpoint(LocalFiles(), comm, CheckpointPath(folder, 12), state).status();
    TORII_EXPECT_OR_RETURN(ExitCodeOf(loaded) == ExitCode::kConfig);
    return absl::OkStatus();
  });
}

// Every byte of every file: flipped, it is noticed and the older checkpoint is used.
TEST(CheckpointTest, FindsEveryFlippedByte) {
  const std::string folder = Folder("flip");
  testing::RunOnRanks(2,
                      [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
  const std::string path = CheckpointPath(folder, 12);
  const std::vector<std::string> names = *LocalFiles().List(path);
  ASSERT_EQ(names.size(), 4u);
  for (const std::string& name : names) {
    const std::string file = path + "/" + name;
    const std::string content = *ReadFile(LocalFiles(), file);
    for (size_t i = 0; i < content.size(); ++i) {
      std::string damaged = content;
      damaged[i] = static_cast<char>(damaged[i] ^ 4);
      std::ofstream(file, std::ios::binary) << damaged;
      const auto info = ReadCheckpointInfo(LocalFiles(), path, /*verify_content=*/true);
      // White space of the manifest carries nothing.
      if (info.ok()) {
        EXPECT_TRUE(name == "manifest.json" && std::isspace(content[i])) << name << i;
      }
    }
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), file, content).ok());
  }
}

TEST(CheckpointTest, OtherFormatVersionsAreRefusedByName) {
  const std::string folder = Folder("version");
  testing::RunOnRanks(1,
                      [&](comm::Communicator& comm) { return Save(LocalFiles(), comm, folder); });
  const std::string manifest = CheckpointPath(folder, 12) + "/manifest.json";
  const std::string text = *ReadFile(LocalFiles(), manifest);
  const std::pair<const char*, const char*> versions[] = {{"1", "the program that wrote it"},
                                                          {"3", "the newer program"}};
  for (const auto& [version, remedy] : versions) {
    std::string other = text;
    other.replace(other.find("\"version\": 2"), 12, absl::StrCat("\"version\": ", version));
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), manifest, other).ok());
    const absl::Status status =
        ReadCheckpointInfo(LocalFiles(), CheckpointPath(folder, 12), false).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), remedy)) << status;
  }
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
      ASSERT_TRUE(newest.ok()) << newest.status();
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
