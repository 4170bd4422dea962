// Chosen rows of a chunk. They keep their numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/read/table_reader.h"

namespace torii::data {

// The rows of a chunk whose `keep` [rows] is not 0.
absl::StatusOr<TableChunk> KeepRows(const TableChunk& chunk, const std::vector<uint8_t>& keep);

// Rows [begin, begin + rows) of a chunk, without a copy of their values.
TableChunk SliceRows(const TableChunk& chunk, int64_t begin, int64_t rows);

// Says whether the rows of a chunk can be used. It must have no effects.
using CheckRows = std::function<absl::Status(const TableChunk& chunk)>;
// Is told a bad row and why it is bad; may end it all with an error.
using RejectRow = std::function<absl::Status(const TableChunk& row, const absl::Status& why)>;

// The rows of a chunk with which `check` finds no fault; `reject` is called for the others, in their
// order. Halves the chunk until the bad rows stand alone: about 2 log2(rows) checks for each. An
// error of `check` that is about no single row (IsCellError) is passed on.
absl::StatusOr<TableChunk> GoodRows(const TableChunk& chunk, const CheckRows& check,
                                    const RejectRow& reject);

}  // namespace torii::data
