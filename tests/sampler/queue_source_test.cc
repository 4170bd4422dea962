// The queue of past positives: first in, first out, the same on any number of ranks.
#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "ATen/ATen.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampler/negative_sampler.h"
#include "sampler/source.h"
#include "tests/sampler/draw_on_ranks.h"
#include "tests/support/run_on_ranks.h"

namespace torii::sampler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SamplerConfig QueueOf(int64_t size, int64_t after_steps) {
  SamplerConfig config;
  config.mutable_queue()->set_size(size);
  config.mutable_queue()->set_after_steps(after_steps);
  return config;
}

std::unique_ptr<Source> MakeQueue(int64_t size, int64_t after_steps) {
  const std::vector<int64_t> counts = {4, 3, 2, 1, 0, 0, 0, 0, 0, 0};
  return MakeQueueSource(QueueOf(size, after_steps), {counts, 3});
}

TEST(QueueSourceTest, GivesTheNewestPositivesFirst) {
  const auto queue = MakeQueue(4, 1);
  EXPECT_THAT(queue->Draw(1).items, IsEmpty());
  EXPECT_THAT(queue->Keep(std::vector<int64_t>{7, 8, 7}), ElementsAre(0, 1, 2));
  EXPECT_THAT(queue->Draw(1).items, ElementsAre(7, 8, 7));
  EXPECT_THAT(queue->Draw(1).slots, ElementsAre(2, 1, 0));
  EXPECT_THAT(queue->Keep(std::vector<int64_t>{1, 2}), ElementsAre(3, 0));
  EXPECT_THAT(queue->Draw(2).items, ElementsAre(2, 1, 7, 8));
  EXPECT_THAT(queue->Draw(2).slots, ElementsAre(0, 3, 2, 1));
  EXPECT_EQ(queue->NumDraws(queue->Draw(2), {}), 4);
}

TEST(QueueSourceTest, KeepsTheLastOfMorePositivesThanItHasSlots) {
  const auto queue = MakeQueue(2, 0);
  EXPECT_THAT(queue->Keep(std::vector<int64_t>{5, 6, 7, 8, 9}), ElementsAre(-1, -1, -1, 0, 1));
  EXPECT_THAT(queue->Draw(1).items, ElementsAre(9, 8));
  EXPECT_THAT(queue->Keep(std::vector<int64_t>{}), IsEmpty());
  EXPECT_THAT(queue->Draw(2).items, ElementsAre(9, 8));
}

TEST(QueueSourceTest, IsNotUsedBeforeItsStep) {
  const auto queue = MakeQueue(4, 7);
  queue->Keep(std::vector<int64_t>{5, 6});
  EXPECT_THAT(queue->Draw(6).items, IsEmpty());
  EXPECT_THAT(queue->Draw(7).items, ElementsAre(6, 5));
}

TEST(QueueSourceTest, ExpectsItemsByTheirShareOfTheTrainingData) {
  const auto queue = MakeQueue(4, 0);
  EXPECT_DOUBLE_EQ(queue->ExpectedCount(1, 20), 6);
  EXPECT_DOUBLE_EQ(queue->ExpectedCount(9, 20), 0);
}

TEST(QueueSourceTest, GoesOnFromItsState) {
  const auto queue = MakeQueue(4, 0), again = MakeQueue(4, 0);
  queue->Keep(std::vector<int64_t>{5, 6, 7, 8, 9});
  StateRegistry from, to;
  queue->RegisterState(from);
  again->RegisterState(to);
  ASSERT_EQ(from.tensors().size(), to.tensors().size());
  for (size_t i = 0; i < from.tensors().size(); ++i) {
    EXPECT_EQ(from.tensors()[i].name, to.tensors()[i].name);
    to.tensors()[i].tensor.copy_(from.tensors()[i].tensor);
  }
  EXPECT_EQ(again->Draw(3).items, queue->Draw(3).items);
  EXPECT_EQ(again->Keep(std::vector<int64_t>{1}), queue->Keep(std::vector<int64_t>{1}));
  EXPECT_EQ(again->Draw(4).slots, queue->Draw(4).slots);
}

// A few steps with a sampler of every rank.
constexpr int64_t kItems = 23, kSteps = 4, kSlots = 20;

std::vector<int64_t> PositivesOf(int64_t step) {
  const RandomStream stream(4, "positives", static_cast<uint64_t>(step));
  std::vector<int64_t> positives;
  for (uint64_t i = 0; i < 13; ++i) positives.push_back(stream.Below(i, kItems));
  return positives;
}

// By rank, then step.
std::vector<std::vector<Candidates>> DrawSteps(int world_size, const SamplerConfig& config) {
  std::vector<std::vector<Candidates>> all(static_cast<size_t>(world_size));
  torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
    const std::vector<int64_t> counts(kItems, 2);
    TORII_ASSIGN_OR_RETURN(const auto sampler, NegativeSampler::Create(config, counts, 5));
    const Partition corpus(Partition::Kind::kRowModWorld, kItems, world_size);
    for (int64_t step = 0; step < kSteps; ++step) {
      const std::vector<int64_t> positives = PositivesOf(step);
      const Range part = SplitEvenly(std::ssize(positives), world_size, comm.rank());
      const std::vector<float> weights(static_cast<size_t>(part.size()), 1);
      const RowGroups groups = RowGroups::OneEach(part.size());
      const StepRows rows{std::span(positives).subspan(static_cast<size_t>(part.begin),
                                                       static_cast<size_t>(part.size())),
                          weights, groups, part.begin};
      TORII_ASSIGN_OR_RETURN(Candidates candidates,
                             sampler->Draw(comm, corpus, step, rows, {},
                                           [](int64_t) { return std::span<const int32_t>(); }));
      all[static_cast<size_t>(comm.rank())].push_back(std::move(candidates));
    }
    return absl::OkStatus();
  });
  return all;
}

std::vector<int64_t> Ints(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel()};
}

// Copies of each item that source `name` put before the rows.
std::map<int64_t, int64_t> CopiesOf(const Candidates& c, const std::string& name) {
  const auto& names = c.facts.sources;
  const auto s = std::find(names.begin(), names.end(), name) - names.begin();
  std::map<int64_t, int64_t> copies;
  const std::vector<int64_t> items = SeenItems(c);
  for (size_t j = 0; j < items.size(); ++j) {
    const auto n = c.facts.multiplicity[s][static_cast<int64_t>(j)].item<int64_t>();
    if (n > 0) copies[items[j]] = n;
  }
  return copies;
}

class QueueOnRanks : public ::testing::TestWithParam<int> {};

TEST_P(QueueOnRanks, HasTheLastPositivesOfAllRanks) {
  for (const auto in_batch : {SamplerConfig::WORLD, SamplerConfig::LOCAL, SamplerConfig::NONE}) {
    SamplerConfig config = QueueOf(kSlots, 1);
    config.set_in_batch(in_batch);
    config.set_uniform(3);
    for (const std::vector<Candidates>& steps : DrawSteps(GetParam(), config)) {
      std::deque<int64_t> newest_first, slot_of;
      for (int64_t step = 0; step < kSteps; ++step) {
        SCOPED_TRACE(step);
        const Candidates& c = steps[static_cast<size_t>(step)];
        std::map<int64_t, int64_t> want;
        if (step >= 1) {
          for (const int64_t item : newest_first) ++want[item];
        }
        EXPECT_EQ(CopiesOf(c, "queue"), want);

        // The other columns are the past ones, each once, with its newest vector.
        std::set<int64_t> seen;
        for (const int64_t item : SeenItems(c)) EXPECT_TRUE(seen.insert(item).second) << item;
        const std::vector<int64_t> of_step = Ints(c.rows), past = Ints(c.past.items);
        const std::vector<int64_t> slots = Ints(c.past.slots);
        for (size_t f = 0; f < past.size(); ++f) {
          EXPECT_THAT(of_step, ::testing::Not(::testing::Contains(past[f])));
          const auto newest = std::find(newest_first.begin(), newest_first.end(), past[f]);
          ASSERT_NE(newest, newest_first.end());
          EXPECT_EQ(slots[f], slot_of[static_cast<size_t>(newest - newest_first.begin())]);
        }
        EXPECT_EQ(c.num_columns(), std::ssize(of_step) + std::ssize(past));

        const std::vector<int64_t> positives = PositivesOf(step);
        const std::vector<int64_t> kept = Ints(c.past.kept_columns);
        ASSERT_EQ(kept.size(), positives.size());
        for (size_t i = 0; i < kept.size(); ++i) {
          EXPECT_EQ(of_step[static_cast<size_t>(kept[i])], positives[i]);
          newest_first.push_front(positives[i]);
          slot_of.push_front(Ints(c.past.kept_slots)[i]);
        }
        newest_first.resize(std::min<size_t>(newest_first.size(), kSlots));
        slot_of.resize(newest_first.size());
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Worlds, QueueOnRanks, ::testing::Values(1, 2, 3, 14));

}  // namespace
}  // namespace torii::sampler
