// Which rows of the interactions are dropped before anything else is looked at.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/prepare/interaction_columns.h"
#include "data/read/table_reader.h"

namespace torii::data {

// Rows dropped so far, by the rule that dropped them.
struct RowsDropped {
  int64_t by_rating = 0;
};

class RowFilter {
 public:
  // `config` is borrowed.
  explicit RowFilter(const InteractionFiles& config) : config_(config), columns_(config) {}
  // The rows of `chunk` that are kept, and that the others are counted.
  absl::StatusOr<TableChunk> Apply(const TableChunk& chunk, RowsDropped* dropped) const;

 private:
  const InteractionFiles& config_;
  const InteractionColumns columns_;
};

// The rows of a chunk whose `keep` [rows] is not 0.
absl::StatusOr<TableChunk> KeepRows(const TableChunk& chunk, const std::vector<uint8_t>& keep);

}  // namespace torii::data
