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
  at::Tensor target_offset;    // [B] float32: of the positive's score in the numerator
};

// m: copies of a column over all sources, E: copies to expect, N: drawn columns of a row.
//   Pairing A: column_offset = log m - log E; positive_offset = target_offset = 0.
//   Pairing B: column_offset and positive_offset = log m - log(E / N); target_offset = -log(E / N).
//   The m of positive_offset counts the row's own positive.
// Where nothing is expected (E = 0: an item without training data, or a batch of one row) log E, or
// log(E / N), counts as 0. A source that is not corrected counts as if it drew uniformly; if no
// source is corrected, they are 0 everywhere. positive: [B] int64 columns.
LogQ LogQOf(const SoftmaxConfig& config, const ColumnFacts& facts, const at::Tensor& positive);

// Whether the frequency of source `name` is corrected.
bool IsCorrected(const SoftmaxConfig& config, const std::string& name);

}  // namespace torii::model
