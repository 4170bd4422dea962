// What a row weighs in the loss.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/read/table_reader.h"
#include "data/rows/interaction_columns.h"

namespace torii::data {

// Whether the configuration gives weights to rows. Else each weighs 1.
bool HasRowWeights(const InteractionFiles& config);

// Immutable. Reads weights from a column of weights, of ratings, or of words that weight_map knows.
class RowWeights {
 public:
  // Both are borrowed.
  RowWeights(const InteractionFiles& config, const InteractionColumns& columns);

  // [rows], or empty if every row weighs 1. kData, naming row and column, for a weight that is no
  // number >= 0 and for a value that weight_map does not name, unless it has a default.
  absl::StatusOr<std::vector<float>> Read(const TableChunk& chunk) const;

 private:
  absl::StatusOr<std::vector<float>> ReadMapped(const Column& column) const;

  const InteractionFiles& config_;
  const InteractionColumns& columns_;
  absl::flat_hash_map<std::string, float> weight_of_;  // of the keys of weight_map
  std::optional<float> other_;                         // of rows with another value, or with none
};

}  // namespace torii::data
