#include "trainer/profile.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "comm/in_process/rank_group.h"
#include "gtest/gtest.h"
#include "tests/support/small_runs.h"
#include "trainer/train_loop.h"

namespace torii::trainer {
namespace {

struct Span {
  std::string name;
  double begin, end;
};

TrainRun ProfiledRun(const std::string& name, int64_t max_steps) {
  const testing::SmallRun small =
      testing::ConcatRun(sharding::TableConfig::ADAM, DenseOptimizerConfig::ADAM);
  TrainRun run;
  run.run_dir = ::testing::TempDir() + "/profile_test_" + name;
  EXPECT_TRUE(LocalFiles().RemoveAll(run.run_dir).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(run.run_dir).ok());
  run.model = small.model.model;
  run.train.set_global_batch(32);
  run.train.set_epochs(100);
  run.train.set_max_steps(max_steps);
  run.train.set_eval_every_epochs(0);
  run.train.set_best_metric("recall@10");
  run.profile = {.path = run.run_dir + "/trace.json", .steps = 3};
  return run;
}

absl::Status Train(int world, const TrainRun& run) {
  const testing::FakeDataset dataset(testing::SmallData());
  return comm::RunRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    return RunTraining(LocalFiles(), comm, dataset, run).status();
  });
}

// By (rank, thread name).
std::map<std::pair<int, std::string>, std::vector<Span>> ReadSpans(const TrainRun& run) {
  const nlohmann::json file = nlohmann::json::parse(*ReadFile(LocalFiles(), run.profile.path));
  std::map<std::pair<int, int>, std::string> threads;
  std::map<std::pair<int, std::string>, std::vector<Span>> spans;
  for (const nlohmann::json& event : file["traceEvents"]) {
    const auto rank = event["pid"].get<int>();
    const auto thread = event["tid"].get<int>();
    if (event["name"] == "thread_name") threads[{rank, thread}] = event["args"]["name"];
    if (event["ph"] != "X") continue;
    const auto begin = event["ts"].get<double>();
    spans[{rank, threads.at({rank, thread})}].push_back(
        {event["name"], begin, begin + event["dur"].get<double>()});
  }
  return spans;
}

std::vector<int64_t> ProfiledSteps(const TrainRun& run) {
  const nlohmann::json file = nlohmann::json::parse(*ReadFile(LocalFiles(), run.profile.path));
  std::vector<int64_t> steps;
  for (const nlohmann::json& event : file["traceEvents"]) {
    if (event["name"] == "step" && event["pid"] == 0) steps.push_back(event["args"]["step"]);
  }
  return steps;
}

TEST(ProfileTest, HasEveryPartOfTheStepOfEveryRank) {
  const TrainRun run = ProfiledRun("parts", 30);
  ASSERT_TRUE(Train(2, run).ok());
  const auto spans = ReadSpans(run);
  EXPECT_EQ(spans.size(), 4u);  // two threads of two ranks
  for (const int rank : {0, 1}) {
    std::map<std::string, int> seen;
    for (const Span& span : spans.at({rank, "training"})) ++seen[span.name];
    for (const char* name :
         {"step", "wait for batch", "plan", "item vectors", "item lookup", "item tower",
          "send columns", "user vectors", "user lookup", "user tower", "loss", "return gradients",
          "backward", "all-reduce", "update", "table update"}) {
      EXPECT_EQ(seen[name], 3) << name << " of rank " << rank;
    }
    ASSERT_FALSE(spans.at({rank, "input"}).empty());
    for (const Span& span : spans.at({rank, "input"})) EXPECT_EQ(span.name, "batch");
  }
}

TEST(ProfileTest, SpansOfAThreadNestOrFollowOneAnother) {
  const TrainRun run = ProfiledRun("nest", 30);
  ASSERT_TRUE(Train(2, run).ok());
  constexpr double kRounding = 0.002;
  for (const auto& [thread, spans] : ReadSpans(run)) {
    for (const Span& a : spans) {
      EXPECT_GE(a.begin, 0);
      for (const Span& b : spans) {
        const bool apart = a.end <= b.begin + kRounding || b.end <= a.begin + kRounding;
        const bool inside = (a.begin >= b.begin - kRounding && a.end <= b.end + kRounding) ||
                            (b.begin >= a.begin - kRounding && b.end <= a.end + kRounding);
        EXPECT_TRUE(apart || inside) << a.name << " and " << b.name << " of " << thread.second;
      }
    }
  }
}

TEST(ProfileTest, SkipsTheFirstStepsOfALongRunOnly) {
  const TrainRun long_run = ProfiledRun("long", 30);
  ASSERT_TRUE(Train(1, long_run).ok());
  EXPECT_EQ(ProfiledSteps(long_run), (std::vector<int64_t>{20, 21, 22}));
  const TrainRun short_run = ProfiledRun("short", 5);
  ASSERT_TRUE(Train(1, short_run).ok());
  EXPECT_EQ(ProfiledSteps(short_run), (std::vector<int64_t>{2, 3, 4}));
  const TrainRun tiny_run = ProfiledRun("tiny", 2);
  ASSERT_TRUE(Train(1, tiny_run).ok());
  EXPECT_EQ(ProfiledSteps(tiny_run), (std::vector<int64_t>{0, 1}));
}

TEST(ProfileTest, ChangesNothingElse) {
  TrainRun run = ProfiledRun("with", 25);
  ASSERT_TRUE(Train(2, run).ok());
  const auto with = CheckpointDigests(LocalFiles(), run.run_dir + "/checkpoints/step-00000025");
  run = ProfiledRun("without", 25);
  run.profile.path.clear();
  ASSERT_TRUE(Train(2, run).ok());
  const auto without = CheckpointDigests(LocalFiles(), run.run_dir + "/checkpoints/step-00000025");
  ASSERT_TRUE(with.ok() && without.ok()) << with.status() << without.status();
  EXPECT_EQ(*with, *without);
}

TEST(ProfileTest, AnUnwritableFileEndsTheRunOnAllRanks) {
  TrainRun run = ProfiledRun("unwritable", 4);
  run.profile.path = "/proc/no/such/place.json";
  EXPECT_FALSE(Train(2, run).ok());
}

}  // namespace
}  // namespace torii::trainer
