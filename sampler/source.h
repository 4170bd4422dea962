// A source of negatives: which items it puts before every row of a step, and how often it is
// expected to put each of them there. Sources add up.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/split_evenly.h"
#include "sampler/sampler.pb.h"

namespace torii::sampler {

// The positives of a step on all ranks.
struct StepPositives {
  std::span<const int64_t> items;  // [G] item rows in rank order
  Range own;                       // this rank's
};

// What a source draws at a step. Ranks agree on it unless it is kOwnPositives.
struct Drawn {
  enum class From {
    kItems,         // `items`
    kPositives,     // the positives of all rows
    kOwnPositives,  // the positives of the own rank's rows
    kCorpus,        // every item once
  };
  From from = From::kItems;
  std::vector<int64_t> items;  // of kItems: item rows, repeats allowed
};

class Source {
 public:
  virtual ~Source() = default;
  // As facts, configuration and the log name it: "uniform".
  virtual std::string_view name() const = 0;
  // For the log: "1024 uniform".
  virtual std::string Description() const = 0;
  // The columns of step `step` (global, from 0): a pure function of (seed, step, positives).
  virtual Drawn Draw(int64_t step) const = 0;
  // Whether a row's own positive is always among these columns.
  virtual bool holds_positives() const = 0;
  // How many of these columns a row has, repeats counted, its own positive not counted.
  virtual int64_t NumDraws(const StepPositives& positives) const = 0;
  // E: expected copies of `item` among `draws` of them.
  virtual double ExpectedCount(int64_t item, int64_t draws) const = 0;
};

// What sources are made from. The counts are copied where they are needed.
struct SourceContext {
  std::span<const int64_t> item_counts;  // [C] training interactions of each item, sum above 0
  uint64_t seed = 0;                     // of the run
};

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

// One file each: a source, and where it can serve single rows its draw.
std::unique_ptr<Source> MakeInBatchSource(const SamplerConfig& config,
                                          const SourceContext& context);
std::unique_ptr<Source> MakeUniformSource(const SamplerConfig& config,
                                          const SourceContext& context);
std::unique_ptr<Source> MakePopularitySource(const SamplerConfig& config,
                                             const SourceContext& context);
std::unique_ptr<Source> MakeCorpusSource(const SamplerConfig& config, const SourceContext& context);
std::unique_ptr<ItemDraw> MakeUniformDraw(const SourceContext& context);
std::unique_ptr<ItemDraw> MakePopularityDraw(const SamplerConfig& config,
                                             const SourceContext& context);

}  // namespace torii::sampler
