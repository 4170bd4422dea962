// The log Q correction: from facts about the columns to what each column and row adds to its
// logits, in the two consistent pairings (Yi et al., RecSys 2019; mixed sources: Yang et al., WWW
// 2020).
#pragma once

#include "ATen/core/Tensor.h"
#include "base/column_facts.h"
#include "model/loss/loss.pb.h"

namespace torii::model {

struct LogQ {
  at::Tensor column_offset;    // [U] float32; -inf removes a column
  at::Tensor positive_offset;  // [B] float32: of the row's own positive, instead of its column's
  at::Tensor target_offset;    // [B] float32: of the logit that is to be raised
};

// m: copies of a column over all sources, E: copies to expect, N: columns of a row.
//   A: column log m - log E, the row's own positive 0.
//   B: column and positive log m - log(E / N), target -log(E / N).
// Where nothing is expected (E = 0: an item without training data, or a batch of one row) log E
// counts as 0. A source that is not corrected counts as if it drew uniformly; if none is, log E is
// 0 everywhere. positive: [B] int64 columns.
LogQ LogQOf(const SoftmaxConfig& config, const ColumnFacts& facts, const at::Tensor& positive);

// Whether the frequency of source `name` is corrected.
bool IsCorrected(const SoftmaxConfig& config, const std::string& name);

}  // namespace torii::model
