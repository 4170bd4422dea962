// Where the columns of a step come from, and how often each item is expected among them: E of the
// log Q correction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampler/alias_table.h"
#include "sampler/sampler.pb.h"

namespace torii::sampler {

// The proposal distributions of the sources over the C items of the corpus.
class Proposals {
 public:
  // item_counts: training interactions of each item, their sum above 0.
  Proposals(const SamplerConfig& config, std::span<const int64_t> item_counts);

  int64_t num_items() const { return static_cast<int64_t>(share_.size()); }
  // Expected copies of `item` among the columns of a row, when `in_batch` columns are other rows'
  // positives. A source that is not corrected counts as uniform. 1 when no source in use is
  // corrected.
  double ExpectedCount(int64_t item, int64_t in_batch) const;
  bool corrected() const { return corrected_; }
  // The extra columns of a step: uniform ones, then popular ones.
  std::vector<int64_t> DrawExtras(uint64_t seed, int64_t step) const;

 private:
  const SamplerConfig config_;
  bool corrected_ = false;
  std::vector<double> share_;       // [C] w: share of the training interactions
  std::vector<double> popularity_;  // [C] q ~ count^alpha, only with popularity columns
  AliasTable alias_;
};

}  // namespace torii::sampler
