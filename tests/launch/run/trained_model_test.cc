// From generated data to an opened and exported model, on several numbers of ranks.
#include "launch/run/trained_model.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "data/prepare/prepare.h"
#include "data/synthetic/synthetic.h"
#include "exports/export_model.h"
#include "gtest/gtest.h"
#include "launch/run/dataset_on_ranks.h"
#include "nlohmann/json.hpp"
#include "tests/support/run_on_ranks.h"
#include "trainer/train_loop.h"

namespace torii::launch {
namespace {

// A run of six steps on generated data, trained once by two ranks for all tests.
class TrainedModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(JoinPath(::testing::TempDir(), absl::StrCat("trained_", ::getpid())));
    ASSERT_TRUE(LocalFiles().RemoveAll(*folder_).ok());
    ASSERT_TRUE(
        data::WriteSyntheticData(
            LocalFiles(), *folder_,
            {.users = 60, .items = 40, .interactions_per_user = 8, .clusters = 3, .seed = 2})
            .ok());
    ASSERT_TRUE(LocalFiles().MakeDirectories(Path("run")).ok());
    testing::RunOnRanks(2, [](comm::Communicator& comm) { return Train(comm); });
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string Path(const std::string& name) { return JoinPath(*folder_, name); }

  static RunConfig Config() {
    RunConfig config;
    EXPECT_TRUE(
        ParseConfigText(
            absl::StrCat("run_dir: '", Path("run"), "' data { prepared_dir: '", Path("prepared"),
                         "' interactions { path: '", Path("interactions.parquet"),
                         "' time: 'timestamp' } split { last_k: 1 } } model { dim: 8 } "
                         "train { global_batch: 64 max_steps: 6 eval_every_steps: 3 "
                         "checkpoint { every_steps: 2 } }"),
            "test", &config)
            .ok());
    FillDefaults(&config);
    return config;
  }

  static absl::Status Train(comm::Communicator& comm) {
    const RunConfig config = Config();
    TORII_RETURN_IF_ERROR(PrepareOnce(LocalFiles(), comm, config.data()).status());
    TORII_ASSIGN_OR_RETURN(const auto dataset,
                           OpenDataset(LocalFiles(), comm, config.data().prepared_dir()));
    trainer::TrainRun run;
    run.run_dir = config.run_dir();
    run.model = config.model();
    run.tables = config.tables();
    run.sampler = config.sampler();
    run.train = config.train();
    run.eval = config.eval();
    run.resolved_config = PrintConfig(config);
    return trainer::RunTraining(LocalFiles(), comm, *dataset, run).status();
  }

  static absl::Status Export(int world, const std::string& out) {
    return comm::RunRanks(world, [&](comm::Communicator& comm) -> absl::Status {
      ModelFlags flags;
      flags.checkpoint = Path("run");
      TORII_ASSIGN_OR_RETURN(const auto model,
                             OpenTrainedModel(LocalFiles(), comm, flags, kernels::Device::Cpu()));
      return exports::ExportModel(LocalFiles(), *model->towers, {model->path, model->info.step},
                                  {.out = out})
          .status();
    });
  }

  static std::string* folder_;
};

std::string* TrainedModelTest::folder_ = nullptr;

TEST_F(TrainedModelTest, ARunFolderMeansItsBestCheckpoint) {
  const absl::StatusOr<std::string> newest = FindCheckpoint(LocalFiles(), Path("run"));
  ASSERT_TRUE(newest.ok()) << newest.status();
  const auto info = trainer::ReadCheckpointInfo(LocalFiles(), *newest, true);
  ASSERT_TRUE(info.ok()) << info.status();
  const auto last =
      trainer::ReadCheckpointInfo(LocalFiles(), Path("run/checkpoints/step-00000006"), true);
  ASSERT_TRUE(last.ok()) << last.status();

  const std::string& found = last->messages.at("early_stopping");
  EXPECT_NE(found.find(absl::StrCat("best_step: ", info->step)), std::string::npos) << found;
  EXPECT_EQ(*FindCheckpoint(LocalFiles(), Path("run/checkpoints")), *newest);
  EXPECT_EQ(*FindCheckpoint(LocalFiles(), last->path), last->path);
}

TEST_F(TrainedModelTest, NoCheckpointIsNoInput) {
  for (const std::string& path : {Path("nowhere"), Path("prepared")}) {
    const absl::Status status = FindCheckpoint(LocalFiles(), path).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kNoInput) << status;
    EXPECT_NE(std::string(status.message()).find(path), std::string::npos);
  }
}

TEST_F(TrainedModelTest, SayingNoModelIsAUsageError) {
  testing::RunOnRanks(2, [](comm::Communicator& comm) {
    EXPECT_EQ(ExitCodeOf(OpenTrainedModel(LocalFiles(), comm, {}, kernels::Device::Cpu()).status()),
              ExitCode::kUsage);
    return absl::OkStatus();
  });
}

TEST_F(TrainedModelTest, OverridesReachTheConfigurationOfTheCheckpoint) {
  testing::RunOnRanks(1, [](comm::Communicator& comm) -> absl::Status {
    ModelFlags flags;
    flags.config.run_dir = Path("run");
    flags.config.sources.sets = {"eval.k=[3]", "train.best_metric=mrr"};
    TORII_ASSIGN_OR_RETURN(const auto model,
                           OpenTrainedModel(LocalFiles(), comm, flags, kernels::Device::Cpu()));
    EXPECT_EQ(model->config.model().dim(), 8);
    EXPECT_EQ(model->config.eval().k(0), 3);
    flags.config.sources.sets = {"model.scorer.inner_product.temperature=0"};
    EXPECT_EQ(
        ExitCodeOf(OpenTrainedModel(LocalFiles(), comm, flags, kernels::Device::Cpu()).status()),
        ExitCode::kConfig);
    return absl::OkStatus();
  });
}

TEST_F(TrainedModelTest, OtherDataAreRefused) {
  RunConfig other = Config();
  other.mutable_data()->set_prepared_dir(Path("other"));
  other.mutable_data()->mutable_split()->set_last_k(2);
  ASSERT_TRUE(data::Prepare(LocalFiles(), other.data()).ok());
  testing::RunOnRanks(1, [](comm::Communicator& comm) {
    ModelFlags flags;
    flags.checkpoint = Path("run");
    flags.config.sources.sets = {"data.prepared_dir=" + Path("other")};
    const absl::Status status =
        OpenTrainedModel(LocalFiles(), comm, flags, kernels::Device::Cpu()).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
    EXPECT_NE(std::string(status.message()).find("other data"), std::string::npos) << status;
    return absl::OkStatus();
  });
}

TEST_F(TrainedModelTest, ExportsTheSameBytesOnAnyNumberOfRanks) {
  ASSERT_TRUE(Export(1, Path("export1")).ok());
  const std::string json = *ReadFile(LocalFiles(), Path("export1/export.json"));
  const nlohmann::json description = nlohmann::json::parse(json);
  EXPECT_EQ(description["dim"], 8);
  EXPECT_EQ(description["metric"], "inner_product");
  EXPECT_EQ(description["files"].size(), 6u);
  for (const auto& file : description["files"]) {
    const std::string name = file["name"];
    const std::string content = *ReadFile(LocalFiles(), Path("export1/" + name));
    EXPECT_EQ(file["size"], content.size()) << name;
    EXPECT_EQ(file["digest"], DigestOf(content)) << name;
  }
  for (const int world : {2, 3, 5}) {
    ASSERT_TRUE(Export(world, Path("export")).ok());
    EXPECT_EQ(*ReadFile(LocalFiles(), Path("export/export.json")), json) << world;
  }
}

TEST_F(TrainedModelTest, AnExportReplacesOnlyAnExport) {
  ASSERT_TRUE(LocalFiles().MakeDirectories(Path("precious")).ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), Path("precious/data"), "x").ok());

  const absl::Status status = Export(2, Path("precious"));

  EXPECT_EQ(ExitCodeOf(status), ExitCode::kCannotCreate) << status;
  EXPECT_EQ(*ReadFile(LocalFiles(), Path("precious/data")), "x");
}

TEST_F(TrainedModelTest, AFailedExportLeavesTheFormerOneAndNothingBeside) {
  ASSERT_TRUE(Export(1, Path("kept/export")).ok());
  for (const char* failpoint : {"export.append#4=enospc", "export.before_rename=eio"}) {
    ASSERT_TRUE(ArmFailpoints(failpoint).ok());
    const absl::Status status = Export(2, Path("kept/export"));
    ASSERT_TRUE(ArmFailpoints("").ok());
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kIo) << status;
    EXPECT_EQ(*LocalFiles().List(Path("kept")), (std::vector<std::string>{"export"}));
    EXPECT_TRUE(LocalFiles().Info(Path("kept/export/export.json"))->exists);
  }
}

}  // namespace
}  // namespace torii::launch
