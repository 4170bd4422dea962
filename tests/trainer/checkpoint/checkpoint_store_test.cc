// Nothing good is destroyed, and nothing starts again in silence.
#include "trainer/checkpoint/checkpoint_store.h"

#include <ATen/ATen.h>

#include <functional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"
#include "trainer/early_stopping.h"

namespace torii::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The local disk, where `fault` may fail any call.
class FailingFiles final : public FileSystem {
 public:
  using Fault = std::function<absl::Status(const std::string& call, const std::string& path)>;
  explicit FailingFiles(Fault fault) : fault_(std::move(fault)) {}

  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) final {
    TORII_RETURN_IF_ERROR(fault_("open", path));
    return LocalFiles().OpenForReading(path);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) final {
    return LocalFiles().Create(path);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppending(const std::string& path) final {
    return LocalFiles().OpenForAppending(path);
  }
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(const std::string& path) final {
    TORII_RETURN_IF_ERROR(fault_("map", path));
    return LocalFiles().Map(path);
  }
  absl::StatusOr<FileInfo> Info(const std::string& path) final {
    TORII_RETURN_IF_ERROR(fault_("info", path));
    return LocalFiles().Info(path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) final {
    TORII_RETURN_IF_ERROR(fault_("list", path));
    return LocalFiles().List(path);
  }
  absl::Status MakeDirectories(const std::string& path) final {
    return LocalFiles().MakeDirectories(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) final {
    return LocalFiles().Rename(from, to);
  }
  absl::Status RemoveAll(const std::string& path) final {
    TORII_RETURN_IF_ERROR(fault_("remove", path));
    return LocalFiles().RemoveAll(path);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path) override {
    return LocalFiles().TryLock(path);
  }
  absl::StatusOr<bool> Exchange(const std::string& a, const std::string& b) override {
    return LocalFiles().Exchange(a, b);
  }
  absl::StatusOr<std::string> RealPath(const std::string& path) override {
    return LocalFiles().RealPath(path);
  }

 private:
  const Fault fault_;
};

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    run_dir_ = ::testing::TempDir() + "/checkpoint_store_test";
    directory_ = run_dir_ + "/checkpoints";
    ASSERT_TRUE(LocalFiles().RemoveAll(run_dir_).ok());
    ASSERT_TRUE(LocalFiles().MakeDirectories(run_dir_).ok());
  }

  // Saves the steps one after the other; the best evaluation so far is the one of `best`.
  static absl::Status Save(comm::Communicator& comm, CheckpointStore& store,
                           const std::vector<int64_t>& steps, int64_t best = -1,
                           double value = 0.5) {
    const at::Tensor weights = at::ones({3});
    for (const int64_t step : steps) {
      EarlyStopping stopping("mrr", 0);
      if (best >= 0) stopping.Observe(best, value);
      StateRegistry state;
      state.Add({.name = "w", .tensor = weights});
      stopping.RegisterState(state);
      CheckpointInfo identity;
      identity.step = step;
      TORII_RETURN_IF_ERROR(store.Save(comm, state, identity, best));
    }
    return absl::OkStatus();
  }

  // What a new process with the run folder does; `keep` newest ones stay.
  static void Run(const std::string& run_dir, int keep,
                  const std::function<absl::Status(comm::Communicator&, CheckpointStore&)>& body,
                  FileSystem& files = LocalFiles()) {
    testing::RunOnRanks(1, [&](comm::Communicator& comm) {
      CheckpointStore store(files, run_dir, keep);
      return body(comm, store);
    });
  }
  void Write(const std::vector<int64_t>& steps, int keep = 9) const {
    Run(run_dir_, keep,
        [&](comm::Communicator& comm, CheckpointStore& store) { return Save(comm, store, steps); });
  }
  // What Open gives.
  absl::StatusOr<std::string> Opened(FileSystem& files = LocalFiles()) const {
    absl::StatusOr<std::string> path;
    Run(
        run_dir_, 2,
        [&](comm::Communicator& comm, CheckpointStore& store) {
          path = store.Open(comm);
          return absl::OkStatus();
        },
        files);
    return path;
  }

  std::string Path(int64_t step) const { return CheckpointPath(directory_, step); }
  std::vector<int64_t> Steps() const { return *CheckpointSteps(LocalFiles(), directory_); }
  void Damage(int64_t step, const std::string& name = "replicated.safetensors") const {
    const std::string path = JoinPath(Path(step), name);
    std::string content = *ReadFile(LocalFiles(), path);
    content[content.size() / 2] ^= 4;
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, content).ok());
  }

  std::string run_dir_, directory_;
};

TEST_F(CheckpointStoreTest, KeepsTheNewestAndTheBest) {
  Run(run_dir_, 2, [](comm::Communicator& comm, CheckpointStore& store) {
    return Save(comm, store, {1, 2, 3, 4, 5}, /*best=*/2);
  });
  EXPECT_THAT(Steps(), ElementsAre(2, 4, 5));
}

TEST_F(CheckpointStoreTest, ANewFolderIsEmpty) { EXPECT_EQ(*Opened(), ""); }

// F1: damaged folders count for nothing.
TEST_F(CheckpointStoreTest, NeverRemovesTheNewestGoodOneForDamagedOnes) {
  Write({5, 10, 15, 20});
  Damage(15);
  Damage(20);
  Run(run_dir_, 2, [this](comm::Communicator& comm, CheckpointStore& store) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const std::string path, store.Open(comm));
    TORII_EXPECT_OR_RETURN(path == Path(10));
    return Save(comm, store, {12});
  });
  EXPECT_THAT(Steps(), ElementsAre(10, 12, 15, 20));
  EXPECT_EQ(*Opened(), Path(12));
}

TEST_F(CheckpointStoreTest, ASavedStepReplacesADamagedOneOfTheSameStep) {
  Write({5, 10});
  Damage(10);
  Run(run_dir_, 2, [](comm::Communicator& comm, CheckpointStore& store) -> absl::Status {
    TORII_RETURN_IF_ERROR(store.Open(comm).status());
    return Save(comm, store, {10});
  });
  EXPECT_EQ(*Opened(), Path(10));
}

// F2: what is there and cannot be read stops the run, with each name and reason.
TEST_F(CheckpointStoreTest, NothingReadableStopsTheRun) {
  Write({5, 10});
  Damage(5);
  ASSERT_TRUE(LocalFiles().RemoveAll(Path(10) + "/manifest.json").ok());
  const absl::Status status = Opened().status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(Path(5) + "/replicated.safetensors: damaged"));
  EXPECT_THAT(message, HasSubstr(Path(10) + "/manifest.json: missing"));
  EXPECT_THAT(message, HasSubstr("--resume never"));
  EXPECT_THAT(Steps(), ElementsAre(5, 10));
}

TEST_F(CheckpointStoreTest, ANewerVersionStopsTheRunThoughAnOlderOneIsGood) {
  Write({5, 10});
  const std::string path = Path(10) + "/manifest.json";
  std::string text = *ReadFile(LocalFiles(), path);
  text.replace(text.find("\"version\": 2"), 12, "\"version\": 3");
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, text).ok());
  const absl::Status status = Opened().status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("format version 3"));
}

// At any call while the store looks: never an older checkpoint, or zero.
TEST_F(CheckpointStoreTest, AnInputErrorStopsTheRun) {
  Write({5, 10});
  int64_t calls = 0, failing = -1;
  FailingFiles files([&](const std::string&, const std::string& path) -> absl::Status {
    return calls++ == failing ? IoError(absl::StrCat(path, ": Input/output error"))
                              : absl::OkStatus();
  });
  ASSERT_EQ(*Opened(files), Path(10));
  const int64_t all = std::exchange(calls, 0);
  ASSERT_GT(all, 10);
  for (failing = 0; failing < all; ++failing) {
    calls = 0;
    const absl::Status status = Opened(files).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kIo) << "call " << failing << ": " << status;
  }
}

TEST_F(CheckpointStoreTest, MovesAsideAndKeepsOneSuchFolder) {
  const auto move = [this] {
    Run(run_dir_, 2,
        [](comm::Communicator& comm, CheckpointStore& store) { return store.MoveAside(comm); });
  };
  const auto names = [this] { return *LocalFiles().List(run_dir_); };
  move();
  EXPECT_THAT(names(), IsEmpty());
  Write({5});
  Damage(5);
  move();
  EXPECT_THAT(names(), ElementsAre("checkpoints.old-1"));
  EXPECT_EQ(*Opened(), "");
  // What a kill has left half-written is not worth the place of a good one.
  ASSERT_TRUE(LocalFiles().MakeDirectories(Path(7) + ".partial").ok());
  move();
  EXPECT_THAT(names(), ElementsAre("checkpoints.old-1"));
  Write({6});
  move();
  EXPECT_THAT(names(), ElementsAre("checkpoints.old-2"));
  EXPECT_THAT(*CheckpointSteps(LocalFiles(), run_dir_ + "/checkpoints.old-2"), ElementsAre(6));
}

TEST_F(CheckpointStoreTest, WhatOthersPutThereStays) {
  const auto move = [this] {
    Run(run_dir_, 2,
        [](comm::Communicator& comm, CheckpointStore& store) { return store.MoveAside(comm); });
  };
  const auto put = [](const std::string& path) {
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, "precious").ok());
  };
  ASSERT_TRUE(LocalFiles().MakeDirectories(directory_).ok());
  put(directory_ + "/epoch3.ckpt");
  move();
  EXPECT_THAT(*LocalFiles().List(directory_), ElementsAre("epoch3.ckpt"));
  // Aside with the checkpoints, and not removed with them later.
  Write({5});
  put(Path(5) + "/notes.txt");
  move();
  Write({6});
  move();
  EXPECT_THAT(*LocalFiles().List(run_dir_), ElementsAre("checkpoints.old-1", "checkpoints.old-2"));
  EXPECT_THAT(*LocalFiles().List(run_dir_ + "/checkpoints.old-1"),
              ElementsAre("epoch3.ckpt", "step-00000005"));
  EXPECT_THAT(*LocalFiles().List(run_dir_ + "/checkpoints.old-1/step-00000005"),
              ElementsAre("notes.txt"));
  // Nor with the old ones of a run.
  Write({7});
  put(Path(7) + "/notes.txt");
  Run(run_dir_, 1, [](comm::Communicator& comm, CheckpointStore& store) {
    const auto opened = store.Open(comm);
    return opened.ok() ? Save(comm, store, {8, 9}) : opened.status();
  });
  EXPECT_THAT(*LocalFiles().List(Path(7)), ElementsAre("notes.txt"));
}

TEST_F(CheckpointStoreTest, WhatAKillLeftIsSwept) {
  Write({5});
  ASSERT_TRUE(LocalFiles().MakeDirectories(Path(7) + ".partial").ok());
  ASSERT_TRUE(
      WriteFileAtomically(LocalFiles(), Path(7) + ".partial/replicated.safetensors", "half").ok());
  EXPECT_EQ(*Opened(), Path(5));
  EXPECT_THAT(*LocalFiles().List(directory_), ElementsAre("step-00000005"));
}

TEST_F(CheckpointStoreTest, NothingIsWrittenWithoutLeave) {
  Write({5});
  int asked = 0;
  for (const int refused_at : {1, 2}) {
    asked = 0;
    testing::RunOnRanks(1, [&](comm::Communicator& comm) {
      CheckpointStore store(LocalFiles(), run_dir_, 2, [&] {
        return ++asked < refused_at ? absl::OkStatus() : CannotCreateError("taken over");
      });
      EXPECT_EQ(ExitCodeOf(Save(comm, store, {6})), ExitCode::kCannotCreate);
      return absl::OkStatus();
    });
    EXPECT_GE(asked, refused_at);
    EXPECT_FALSE(LocalFiles().Info(Path(6))->exists);
    // What is half-written may be the winner's by now.
    EXPECT_EQ(LocalFiles().Info(Path(6) + ".partial")->exists, refused_at == 2);
  }
}

// F22: training does not end for an old checkpoint that stays.
TEST_F(CheckpointStoreTest, AFailedRemovalIsNoError) {
  FailingFiles files([](const std::string& call, const std::string& path) -> absl::Status {
    if (call != "remove" || !LocalFiles().Info(path)->exists) return absl::OkStatus();
    return IoError(absl::StrCat(path, ": Input/output error"));
  });
  Run(
      run_dir_, 1,
      [](comm::Communicator& comm, CheckpointStore& store) { return Save(comm, store, {1, 2, 3}); },
      files);
  EXPECT_THAT(Steps(), ElementsAre(1, 2, 3));
}

// F8: the best of the good ones in the place of the best.
TEST_F(CheckpointStoreTest, ADamagedBestFallsBackToTheBestGoodOne) {
  Run(run_dir_, 9, [](comm::Communicator& comm, CheckpointStore& store) -> absl::Status {
    TORII_RETURN_IF_ERROR(Save(comm, store, {1}, 1, 0.1));
    TORII_RETURN_IF_ERROR(Save(comm, store, {2}, 2, 0.3));
    TORII_RETURN_IF_ERROR(Save(comm, store, {3, 4}, 3, 0.4));
    return absl::OkStatus();
  });
  const auto best = [this] {
    const auto found = BestCheckpoint(LocalFiles(), directory_);
    return found.ok() && found->has_value() ? (*found)->path : found.status().ToString();
  };
  EXPECT_EQ(best(), Path(3));
  Damage(3);
  EXPECT_EQ(best(), Path(2));
  ASSERT_TRUE(LocalFiles().RemoveAll(Path(2)).ok());
  EXPECT_EQ(best(), Path(1));
  Damage(1, "manifest.json");
  EXPECT_EQ(best(), Path(4));
  Damage(4);
  EXPECT_EQ(BestCheckpoint(LocalFiles(), directory_)->has_value(), false);
}

TEST_F(CheckpointStoreTest, TheNewestIsTheBestWithoutEvaluations) {
  Write({1, 2});
  EXPECT_EQ((*BestCheckpoint(LocalFiles(), directory_))->path, Path(2));
  EXPECT_FALSE(BestCheckpoint(LocalFiles(), directory_ + "/none")->has_value());
}

}  // namespace
}  // namespace torii::trainer
