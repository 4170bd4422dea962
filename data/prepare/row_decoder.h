// What rows of the interactions hold, as plain values.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/prepare/id_map.h"
#include "data/prepare/interaction_survey.h"
#include "data/rows/row_filter.h"
#include "data/rows/row_weights.h"

namespace torii::data {

struct DecodedRows {
  TableChunk chunk;  // the rows that the filter keeps
  Ids users;
  Ids items;
  std::vector<int64_t> times;  // [rows], or empty without a column of times
  std::vector<float> weights;  // [rows], or empty if each weighs 1
};

// Immutable. All arguments are borrowed.
class RowDecoder {
 public:
  RowDecoder(const InteractionFiles& config, const RowFilter& filter, const Survey& survey)
      : filter_(filter), survey_(survey), weights_(config, filter.columns()) {}

  const InteractionColumns& columns() const { return filter_.columns(); }
  // Filters, then reads as `survey` says. Adds to *dropped what the filter drops. An error is about
  // the first bad value of a column, or about a column.
  absl::StatusOr<DecodedRows> Decode(const TableChunk& all, RowsDropped* dropped) const;

 private:
  const RowFilter& filter_;
  const Survey& survey_;
  const RowWeights weights_;
};

}  // namespace torii::data
