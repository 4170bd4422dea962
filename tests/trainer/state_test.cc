// Every registered state matters: changed in a checkpoint, it changes the digest, and the run that
// goes on from it ends elsewhere.
#include <ATen/ATen.h>

#include <functional>
#include <map>

#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/edit_checkpoint.h"
#include "tests/support/run_on_ranks.h"
#include "tests/support/small_runs.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/checkpoint/message_state.h"
#include "trainer/train_loop.h"

namespace torii::trainer {
namespace {

using testing::FakeDataset;

using Digests = std::map<std::string, std::string>;

constexpr int64_t kFirst = 5, kLast = 9;

FakeDataset Data() {
  return FakeDataset({.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2});
}

// Evaluates once, at its last step; its log lines are rare, so that sums are carried over.
TrainRun StateRun(const std::string& name, sharding::TableConfig::Optimizer tables,
                  DenseOptimizerConfig::Kind dense) {
  const testing::SmallRun small = testing::ConcatRun(tables, dense);
  TrainRun run;
  run.run_dir = ::testing::TempDir() + "/state_test_" + name;
  EXPECT_TRUE(LocalFiles().RemoveAll(run.run_dir).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(run.run_dir).ok());
  run.model = small.model.model;
  run.tables = small.model.tables;
  run.sampler = small.sampler;
  run.train.mutable_dense()->set_kind(dense);
  run.train.mutable_dense()->set_momentum(dense == DenseOptimizerConfig::SGD ? 0.9 : 0);
  run.train.set_global_batch(32);
  run.train.set_epochs(100);
  run.train.set_log_every(0);
  run.train.set_eval_every_epochs(0);
  run.train.set_best_metric("recall@10");
  run.train.mutable_checkpoint()->set_every_epochs(0);
  return run;
}

void Train(TrainRun run, int64_t steps) {
  const FakeDataset dataset = Data();
  run.train.set_max_steps(steps);
  testing::RunOnRanks(2, [&](comm::Communicator& comm) {
    return RunTraining(LocalFiles(), comm, dataset, run).status();
  });
}

Digests DigestsOf(const TrainRun& run, int64_t step) {
  const auto lines =
      CheckpointDigests(LocalFiles(), CheckpointPath(run.run_dir + "/checkpoints", step));
  EXPECT_TRUE(lines.ok()) << lines.status();
  return lines.ok() ? Digests(lines->begin(), lines->end()) : Digests();
}

// The checkpoint of step kFirst, changed by `edit`: its digests, and those of the run's end.
struct Path {
  Digests start, end;
};
Path Follow(const TrainRun& run, const testing::CheckpointEdit& edit) {
  EXPECT_TRUE(LocalFiles().RemoveAll(run.run_dir + "/checkpoints").ok());
  Train(run, kFirst);
  const absl::Status edited = testing::EditCheckpoint(
      CheckpointPath(run.run_dir + "/checkpoints", kFirst),
      [&](Manifest& manifest, std::vector<std::vector<NamedTensor>>& tensors) {
        // No later evaluation is better, and the loss since the last line is not zero.
        EarlyStoppingState state;
        EXPECT_TRUE(
            ParseMessageState("", manifest.info.messages.at("early_stopping"), &state).ok());
        state.set_best_value(1e9);
        manifest.info.messages["early_stopping"] = MessageState("", &state).save();
        edit(manifest, tensors);
      });
  EXPECT_TRUE(edited.ok()) << edited;
  Path path;
  path.start = DigestsOf(run, kFirst);
  Train(run, kLast);
  path.end = DigestsOf(run, kLast);
  return path;
}

void ExpectChanged(const Path& got, const Path& want, const std::string& name) {
  ASSERT_EQ(got.start.size(), want.start.size()) << name;
  for (const auto& [line, digest] : want.start) {
    const bool changes = line == name || line == "total";
    EXPECT_EQ(got.start.at(line) != digest, changes) << name << " changed, digest of " << line;
  }
  EXPECT_NE(got.end.at("total"), want.end.at("total")) << name;
}

TEST(StateTest, EachTensorIsInTheDigestAndInTheRunThatGoesOn) {
  using sharding::TableConfig;
  const std::pair<TableConfig::Optimizer, DenseOptimizerConfig::Kind> optimizers[] = {
      {TableConfig::ADAM, DenseOptimizerConfig::ADAM},
      {TableConfig::ROWWISE_ADAGRAD, DenseOptimizerConfig::SGD}};
  for (const auto& [tables, dense] : optimizers) {
    const TrainRun run = StateRun("tensors", tables, dense);
    const Path want = Follow(run, [](Manifest&, auto&) {});
    const auto last =
        ReadManifest(LocalFiles(), CheckpointPath(run.run_dir + "/checkpoints", kLast));
    ASSERT_TRUE(last.ok()) << last.status();
    ASSERT_GT(last->tensors.size(), 10u);
    for (const auto& [name, tensor] : last->tensors) {
      const std::string& changed = name;
      const Path got = Follow(run, [&](Manifest&, auto& files) {
        bool done = false;
        for (auto& file : files) {
          for (NamedTensor& t : file) {
            if (t.name != changed || t.tensor.numel() == 0 || done) continue;
            t.tensor.flatten()[0].add_(0.25);
            done = true;
          }
        }
      });
      ExpectChanged(got, want, name);
    }
  }
}

// `field` of message `name` is set to another value.
testing::CheckpointEdit Changed(const std::string& name,
                                const std::function<std::string(const std::string&)>& change) {
  return [name, change](Manifest& manifest, auto&) {
    std::string& text = manifest.info.messages.at(name);
    const std::string before = text;
    text = change(before);
    EXPECT_NE(text, before) << name;
  };
}

template <typename State>
testing::CheckpointEdit ChangedState(const std::string& name,
                                     const std::function<void(State*)>& change) {
  return Changed(name, [name, change](const std::string& text) {
    State state;
    EXPECT_TRUE(ParseMessageState(name, text, &state).ok()) << text;
    change(&state);
    return MessageState(name, &state).save();
  });
}

TEST(StateTest, EachFieldOfEachMessageIsInTheDigestAndInTheRunThatGoesOn) {
  const TrainRun run =
      StateRun("messages", sharding::TableConfig::ADAM, DenseOptimizerConfig::ADAM);
  const Path want = Follow(run, [](Manifest&, auto&) {});
  const auto position = [](void (*change)(RunPosition*)) {
    return ChangedState<RunPosition>("position", change);
  };
  const auto stopping = [](void (*change)(EarlyStoppingState*)) {
    return ChangedState<EarlyStoppingState>("early_stopping", change);
  };
  const auto log = [](void (*change)(TrainLogState*)) {
    return ChangedState<TrainLogState>("train_log", change);
  };
  const std::pair<std::string, testing::CheckpointEdit> edits[] = {
      {"position", position([](RunPosition* p) { p->set_step(p->step() - 1); })},
      {"position", position([](RunPosition* p) { p->set_epoch(p->epoch() + 1); })},
      {"position", position([](RunPosition* p) { p->set_step_in_epoch(0); })},
      {"position", position([](RunPosition* p) { p->set_rows_seen(1); })},
      {"early_stopping", stopping([](EarlyStoppingState* s) { s->set_best_value(2e9); })},
      {"early_stopping", stopping([](EarlyStoppingState* s) { s->set_best_step(2); })},
      {"early_stopping",
       stopping([](EarlyStoppingState* s) { s->set_evaluations_without_gain(7); })},
      {"early_stopping", stopping([](EarlyStoppingState* s) { s->set_measure("other"); })},
  };
  for (const auto& [name, edit] : edits) ExpectChanged(Follow(run, edit), want, name);
  // The sums end in the next log line, and the next evaluation has a step of its own: they are not
  // in the last checkpoint.
  const std::pair<std::string, testing::CheckpointEdit> passing[] = {
      {"train_log", log([](TrainLogState* s) { s->set_loss_sum(5); })},
      {"train_log", log([](TrainLogState* s) { s->set_loss_weight(3); })},
      {"early_stopping", stopping([](EarlyStoppingState* s) { s->set_evaluated_step(1); })}};
  for (const auto& [name, edit] : passing) {
    const Path got = Follow(run, edit);
    EXPECT_NE(got.start.at(name), want.start.at(name));
    EXPECT_NE(got.start.at("total"), want.start.at("total"));
  }
}

}  // namespace
}  // namespace torii::trainer
