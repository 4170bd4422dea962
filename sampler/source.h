// A source of negatives: which items it puts before every row of a step, and how often it is
// expected to put each of them there. Sources add up.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/named_state.h"
#include "base/random.h"
#include "base/split_evenly.h"
#include "sampler/sampler.pb.h"

namespace torii::sampler {

// The positives of a step on all ranks.
struct StepPositives {
  std::span<const int64_t> items;  // [G] item rows in rank order
  Range own;                       // those of this rank's rows
};

// What a source draws at a step: the same on all ranks, except for kOwnPositives.
struct Drawn {
  enum class From {
    kItems,         // `items`
    kPositives,     // the positives of all rows
    kOwnPositives,  // the positives of this rank's rows
    kCorpus,        // every item once
    kPast,          // `items`, whose vectors of earlier steps are remembered in `slots`
  };
  From from = From::kItems;
  std::vector<int64_t> items = {};  // item rows, repeats allowed; of kPast: the newest first
  std::vector<int64_t> slots = {};  // of kPast: where the vector of each item lies
};

class Source {
 public:
  virtual ~Source() = default;
  // Its name in the facts and in the configuration: "uniform".
  virtual std::string_view name() const = 0;
  // For the log: "1024 uniform".
  virtual std::string Description() const = 0;
  // What it draws at step `step` (global, from 0): a pure function of (seed, step, its state).
  virtual Drawn Draw(int64_t step) const = 0;
  // Whether a row's own positive is always among what it draws.
  virtual bool holds_positives() const = 0;
  // How many drawn columns a row gets from what was drawn, repeats counted. Sources of positives do
  // not count the row's own one.
  virtual int64_t NumDraws(const Drawn& drawn, const StepPositives& positives) const = 0;
  // E: how many copies of `item` are to be expected among `draws` drawn columns.
  virtual double ExpectedCount(int64_t item, int64_t draws) const = 0;

  // A source that draws from the past has a memory. Once a step is drawn it is told the positives
  // [G] of all ranks, and says in which slot of the memory the vector of each of them is kept: none
  // twice; -1: not kept. Empty: the source keeps nothing.
  virtual std::vector<int64_t> Keep(std::span<const int64_t> /*positives*/) { return {}; }
  // The number of slots.
  virtual int64_t num_slots() const { return 0; }
  // Of the memory, but for the vectors, which are kept where they are computed.
  virtual void RegisterState(StateRegistry& /*registry*/) {}
};

// What sources are made from. Sources copy what they need of the counts.
struct SourceContext {
  std::span<const int64_t> item_counts;  // [C] training interactions of each item, sum above 0
  uint64_t seed = 0;                     // of the run
};

// [C] the share of each item in the training interactions.
std::vector<double> TrainingShares(const SourceContext& context);

// The names of all sources, in their fixed order. A name is that of the field of SamplerConfig that
// turns the source on.
std::vector<std::string> SourceNames();
// Those that `config` turns on.
std::vector<std::string> SourcesOf(const SamplerConfig& config);
// The same, made.
std::vector<std::unique_ptr<Source>> MakeSources(const SamplerConfig& config,
                                                 const SourceContext& context);

// Draws items one by one, for lists of single rows.
class ItemDraw {
 public:
  virtual ~ItemDraw() = default;
  // Draw number `index` of the stream: a pure function of both.
  virtual int64_t Draw(const RandomStream& stream, uint64_t index) const = 0;
};

// Each source has a file of its own, which also has the draw for single rows if there is one.
std::unique_ptr<Source> MakeInBatchSource(const SamplerConfig& config,
                                          const SourceContext& context);
std::unique_ptr<Source> MakeUniformSource(const SamplerConfig& config,
                                          const SourceContext& context);
std::unique_ptr<Source> MakePopularitySource(const SamplerConfig& config,
                                             const SourceContext& context);
std::unique_ptr<Source> MakeCorpusSource(const SamplerConfig& config, const SourceContext& context);
std::unique_ptr<Source> MakeQueueSource(const SamplerConfig& config, const SourceContext& context);
std::unique_ptr<ItemDraw> MakeUniformDraw(const SourceContext& context);
std::unique_ptr<ItemDraw> MakePopularityDraw(const SamplerConfig& config,
                                             const SourceContext& context);

}  // namespace torii::sampler
