#include "data/rows/chunk_rows.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "arrow/array.h"
#include "arrow/builder.h"
#include "arrow/compute/api_vector.h"
#include "arrow/datum.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/column_values.h"

namespace torii::data {
namespace {

// Finds the bad rows among rows [begin, begin + rows) and clears their places in *keep.
absl::Status MarkBadRows(const TableChunk& chunk, int64_t begin, int64_t rows,
                         const CheckRows& check, const RejectRow& reject,
                         std::vector<uint8_t>* keep) {
  if (rows == 0) {
    return absl::OkStatus();
  }
  const TableChunk part = SliceRows(chunk, begin, rows);
  const absl::Status status = check(part);
  if (status.ok() || !IsCellError(status)) {
    return status;
  }
  if (rows == 1) {
    (*keep)[static_cast<size_t>(begin)] = 0;
    return reject(part, status);
  }
  const int64_t half = rows / 2;
  TORII_RETURN_IF_ERROR(MarkBadRows(chunk, begin, half, check, reject, keep));
  return MarkBadRows(chunk, begin + half, rows - half, check, reject, keep);
}

}  // namespace

absl::StatusOr<TableChunk> KeepRows(const TableChunk& chunk, const std::vector<uint8_t>& keep) {
  if (std::find(keep.begin(), keep.end(), 0) == keep.end()) {
    return chunk;
  }
  TableChunk kept = chunk;
  auto numbers = std::make_shared<std::vector<int64_t>>();
  arrow::BooleanBuilder builder;
  TORII_RETURN_IF_ERROR(FromArrow(builder.AppendValues(keep), *chunk.file));
  for (size_t i = 0; i < keep.size(); ++i) {
    if (keep[i] != 0) {
      numbers->push_back(chunk.RowNumber(static_cast<int64_t>(i)));
    }
  }
  const auto mask = builder.Finish();
  if (!mask.ok()) {
    return FromArrow(mask.status(), *chunk.file);
  }
  for (std::shared_ptr<arrow::Array>& column : kept.columns) {
    const arrow::Result<arrow::Datum> filtered = arrow::compute::Filter(column, *mask);
    if (!filtered.ok()) {
      return FromArrow(filtered.status(), *chunk.file);
    }
    column = filtered->make_array();
  }
  kept.rows = static_cast<int64_t>(numbers->size());
  kept.row_numbers = std::move(numbers);
  return kept;
}

TableChunk SliceRows(const TableChunk& chunk, int64_t begin, int64_t rows) {
  TableChunk slice = chunk;
  for (std::shared_ptr<arrow::Array>& column : slice.columns) {
    column = column->Slice(begin, rows);
  }
  slice.rows = rows;
  slice.skipped.clear();
  if (chunk.row_numbers == nullptr) {
    slice.first_row = chunk.first_row + begin;
  } else {
    const auto first = chunk.row_numbers->begin() + begin;
    slice.row_numbers = std::make_shared<const std::vector<int64_t>>(first, first + rows);
  }
  return slice;
}

absl::StatusOr<TableChunk> GoodRows(const TableChunk& chunk, const CheckRows& check,
                                    const RejectRow& reject) {
  std::vector<uint8_t> keep(static_cast<size_t>(chunk.rows), 1);
  TORII_RETURN_IF_ERROR(MarkBadRows(chunk, 0, chunk.rows, check, reject, &keep));
  return KeepRows(chunk, keep);
}

}  // namespace torii::data
