#include "sampler/alias_table.h"

#include "base/check.h"

namespace torii::sampler {

AliasTable::AliasTable(std::span<const double> probabilities)
    : keep_(probabilities.begin(), probabilities.end()), alias_(probabilities.size()) {
  TORII_CHECK(!probabilities.empty(), "an alias table needs an outcome");
  const auto n = static_cast<double>(keep_.size());
  std::vector<size_t> small, large;  // outcomes with less and with at least 1 / n
  for (size_t i = 0; i < keep_.size(); ++i) {
    TORII_CHECK(keep_[i] >= 0, "probability ", keep_[i], " of outcome ", i);
    keep_[i] *= n;
    alias_[i] = static_cast<int64_t>(i);
    (keep_[i] < 1 ? small : large).push_back(i);
  }

  // Each small outcome fills its cell up with a part of a large one.
  while (!small.empty() && !large.empty()) {
    const size_t s = small.back(), l = large.back();
    small.pop_back();
    alias_[s] = static_cast<int64_t>(l);
    keep_[l] -= 1 - keep_[s];
    if (keep_[l] < 1) {
      large.pop_back();
      small.push_back(l);
    }
  }
  // What is left differs from a full cell by rounding only, unless its probability is 0.
  for (const std::vector<size_t>* rest : {&small, &large}) {
    for (const size_t i : *rest) {
      if (probabilities[i] > 0) keep_[i] = 1;
    }
  }
}

int64_t AliasTable::Draw(const RandomStream& stream, uint64_t index) const {
  const int64_t outcome = stream.Below(2 * index, static_cast<int64_t>(keep_.size()));
  const auto i = static_cast<size_t>(outcome);
  return stream.Uniform(2 * index + 1) < keep_[i] ? outcome : alias_[i];
}

}  // namespace torii::sampler
