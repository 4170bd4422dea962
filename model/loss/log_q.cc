#include "model/loss/log_q.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace torii::model {
namespace {

// [U] float64 copies of each column that its row expects; undefined if no source is corrected.
at::Tensor ExpectedCopies(const SoftmaxConfig& config, const ColumnFacts& facts) {
  const auto corrected = [&](int64_t s) {
    return IsCorrected(config, facts.sources[static_cast<size_t>(s)]);
  };
  at::Tensor sum;
  double uniform = 0;  // expected of the sources that count as uniform
  bool any = false;
  for (int64_t s = 0; s < facts.num_sources(); ++s) {
    if (!corrected(s)) {
      uniform += static_cast<double>(facts.draws[static_cast<size_t>(s)]) *
                 (1 / static_cast<double>(facts.corpus_items));
      continue;
    }
    any = true;
    const at::Tensor expected = facts.expected.select(0, s);
    sum = sum.defined() ? sum + expected : expected;
  }
  if (!any) return {};
  return uniform > 0 ? sum + uniform : sum;
}

// [U] float64 log E, 0 where nothing is expected.
at::Tensor LogExpected(const SoftmaxConfig& config, const ColumnFacts& facts) {
  const at::Tensor expected = ExpectedCopies(config, facts);
  if (!expected.defined()) return {};
  at::Tensor log_expected = at::log(at::where(expected > 0, expected, 1.0));
  if (config.pairing() == SoftmaxConfig::A) return log_expected;
  double columns = 0;
  for (const int64_t draws : facts.draws) columns += static_cast<double>(draws);
  // An item that nobody expects has no share either: its logit stays as it is.
  return columns > 0 ? at::where(expected > 0, log_expected - std::log(columns), 0.0)
                     : log_expected;
}

// [U] float64
at::Tensor Copies(const ColumnFacts& facts) {
  const at::Tensor copies =
      facts.num_sources() == 1 ? facts.multiplicity.select(0, 0) : facts.multiplicity.sum(0);
  return copies.to(at::kDouble);
}

}  // namespace

bool IsCorrected(const SoftmaxConfig& config, const std::string& name) {
  const auto& without = config.uncorrected();
  return config.log_q() && std::find(without.begin(), without.end(), name) == without.end();
}

LogQ LogQOf(const SoftmaxConfig& config, const ColumnFacts& facts, const at::Tensor& positive) {
  const at::Tensor copies = Copies(facts), log_expected = LogExpected(config, facts);
  const auto corrected = [&](const at::Tensor& log_copies, const at::Tensor& of) {
    return (of.defined() ? log_copies - of : log_copies).to(at::kFloat);
  };
  LogQ result;
  result.column_offset = corrected(at::log(copies), log_expected);
  const at::TensorOptions floats = result.column_offset.options();
  if (config.pairing() == SoftmaxConfig::A) {
    result.positive_offset = at::zeros({positive.numel()}, floats);
    result.target_offset = result.positive_offset;
    return result;
  }
  at::Tensor own_copies = copies.index_select(0, positive), own_expected;
  if (!facts.counts_own_positive) own_copies = own_copies + 1;
  if (log_expected.defined()) own_expected = log_expected.index_select(0, positive);
  result.positive_offset = corrected(at::log(own_copies), own_expected);
  result.target_offset = own_expected.defined() ? at::neg(own_expected).to(at::kFloat)
                                                : at::zeros({positive.numel()}, floats);
  return result;
}

}  // namespace torii::model
