// Which rows of the interactions are dropped before anything else is looked at.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/read/table_reader.h"
#include "data/rows/interaction_columns.h"
#include "data/rows/row_condition.h"

namespace torii::data {

// Rows dropped so far, by the rule that dropped them.
struct RowsDropped {
  int64_t by_where = 0;
  int64_t by_rating = 0;
  int64_t without_id = 0;
};

// First `where`, then `min_rating`, then `on_missing_id`: a rule looks only at rows that the rules before it keep.
class RowFilter {
 public:
  // `config` is borrowed. kConfig if `where` does not follow its grammar.
  static absl::StatusOr<RowFilter> Make(const InteractionFiles& config);

  // What to read: the columns of the interactions and those that `where` names.
  const InteractionColumns& columns() const { return columns_; }
  // The rows of `chunk` that are kept, and that the others are counted.
  absl::StatusOr<TableChunk> Apply(const TableChunk& chunk, RowsDropped* dropped) const;

 private:
  RowFilter(const InteractionFiles& config, std::optional<RowCondition> where);
  absl::StatusOr<TableChunk> ApplyWhere(const TableChunk& chunk, RowsDropped* dropped) const;
  absl::StatusOr<TableChunk> ApplyRating(const TableChunk& chunk, RowsDropped* dropped) const;
  absl::StatusOr<TableChunk> ApplyIds(const TableChunk& chunk, RowsDropped* dropped) const;

  const InteractionFiles& config_;
  const std::optional<RowCondition> where_;
  const InteractionColumns columns_;
};

}  // namespace torii::data
