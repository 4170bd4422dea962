// The small models of the distributed tests have every kind of every part, every loss and every
// source of negatives, and each of them goes on from a checkpoint to the same bits.
#include "tests/support/small_runs.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "model/model_rules.h"
#include "sampler/source.h"
#include "tests/support/run_on_ranks.h"
#include "trainer/train_loop.h"

namespace torii::trainer {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Names = std::set<std::string>;
using testing::FakeDataset;

// Members of the oneofs of a type and of the messages below it.
void CollectKinds(const Descriptor& type, Names* visited, Names* kinds) {
  if (!visited->insert(std::string(type.full_name())).second) return;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.real_containing_oneof() != nullptr) kinds->insert(std::string(field.full_name()));
    if (field.message_type() != nullptr) CollectKinds(*field.message_type(), visited, kinds);
  }
}

// Those that a message chooses.
void CollectChosen(const Message& message, Names* kinds) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->real_containing_oneof() != nullptr) kinds->insert(std::string(field->full_name()));
    if (field->message_type() == nullptr || field->is_repeated()) continue;
    CollectChosen(message.GetReflection()->GetMessage(message, field), kinds);
  }
}

TEST(SmallRunsTest, HaveEveryKindOfEveryPartAndEveryLoss) {
  Names all, visited, chosen;
  CollectKinds(*model::ModelConfig::descriptor(), &visited, &all);
  ASSERT_GT(all.size(), 10u);
  for (auto& [name, run] : testing::SmallRuns()) {
    model::ModelConfig config = run.model.model;
    model::FillDefaultKinds(&config);
    CollectChosen(config, &chosen);
  }
  EXPECT_EQ(chosen, all);
}

TEST(SmallRunsTest, HaveEverySourceOfNegatives) {
  Names on;
  for (const auto& [name, run] : testing::SmallRuns()) {
    for (const std::string& source : sampler::SourcesOf(run.sampler)) on.insert(source);
  }
  EXPECT_THAT(on, ::testing::UnorderedElementsAreArray(sampler::SourceNames()));
}

constexpr int64_t kSteps = 5;

// The small run as a run with checkpoints, in a folder of its own.
TrainRun WithCheckpoints(const testing::SmallRun& small, const std::string& folder) {
  TrainRun run;
  run.run_dir = absl::StrCat(::testing::TempDir(), "/small_runs_test_", folder);
  EXPECT_TRUE(LocalFiles().RemoveAll(run.run_dir).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(run.run_dir).ok());
  run.seed = small.model.seed;
  run.model = small.model.model;
  run.tables = small.model.tables;
  run.table = small.model.table;
  run.sampler = small.sampler;
  *run.train.mutable_dense() = small.dense;
  run.train.set_clip_norm(small.step.clip_norm);
  run.train.set_global_batch(small.global_batch);
  run.train.set_shuffle_block(small.shuffle_block);
  run.train.set_user_balance(small.user_balance);
  run.train.set_epochs(100);
  run.train.set_max_steps(kSteps);
  run.train.set_eval_every_epochs(0);
  run.train.set_best_metric("recall@10");
  run.train.mutable_checkpoint()->set_every_steps(2);
  return run;
}

absl::Status Train(int world, const FakeDataset& dataset, const TrainRun& run) {
  return comm::RunRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    return RunTraining(LocalFiles(), comm, dataset, run).status();
  });
}

std::string LastDigest(const TrainRun& run) {
  const auto digests =
      CheckpointDigests(LocalFiles(), CheckpointPath(run.run_dir + "/checkpoints", kSteps));
  EXPECT_TRUE(digests.ok()) << digests.status();
  return digests.ok() ? digests->front().second : "";
}

TEST(SmallRunsTest, StoppedAndResumedEachEndsWithTheSameBits) {
  const FakeDataset dataset({.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2});
  for (const auto& [name, small] : testing::SmallRuns()) {
    for (const int world : {1, 3}) {
      const std::string what = absl::StrCat(name, ", ", world, " ranks");
      const TrainRun undisturbed = WithCheckpoints(small, "undisturbed");
      ASSERT_TRUE(Train(world, dataset, undisturbed).ok()) << what;
      const TrainRun stopped = WithCheckpoints(small, "stopped");
      ASSERT_TRUE(ArmFailpoints("trainer.step@0#4=error").ok());
      EXPECT_FALSE(Train(world, dataset, stopped).ok()) << what;
      ASSERT_TRUE(ArmFailpoints("").ok());
      const absl::Status resumed = Train(world, dataset, stopped);
      ASSERT_TRUE(resumed.ok()) << what << ": " << resumed;
      EXPECT_EQ(LastDigest(stopped), LastDigest(undisturbed)) << what;
    }
  }
}

}  // namespace
}  // namespace torii::trainer
