// Reads chosen columns of tables, one chunk of rows at a time, in the order of files and rows.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "arrow/type_fwd.h"
#include "base/file_system.h"
#include "data/read/input_files.h"

namespace torii::data {

// A record of a text file that cannot be cut into values, left out because it may be.
struct SkippedRow {
  int64_t number = 0;  // as messages count
  std::string what;    // "Expected 2 columns, got 3"
  std::string text;
};

struct TableChunk {
  std::shared_ptr<const std::string> file;             // the file these rows come from
  std::vector<std::shared_ptr<arrow::Array>> columns;  // as asked for; CSV and TSV: always text
  // [columns] false: text of a file or folder name that has no types, which may be a number.
  std::vector<bool> typed;
  int64_t rows = 0;
  // Number of the first row in its file, as messages count: Parquet and JSON lines from 1; CSV and TSV from 2,
  // because the header is record 1, if there is one (empty lines do not count, a quoted value over
  // several lines is one record).
  int64_t first_row = 1;
  // Where rows were left out: the number of each row that is left. Null: they follow one another.
  std::shared_ptr<const std::vector<int64_t>> row_numbers;
  // Records that were left out among these rows.
  std::vector<SkippedRow> skipped;

  int64_t RowNumber(int64_t i) const {
    return row_numbers == nullptr ? first_row + i : (*row_numbers)[static_cast<size_t>(i)];
  }
};

// Used by one thread at a time.
class TableReader {
 public:
  virtual ~TableReader() = default;
  // The next chunk, with at least one row or skipped row; nullopt at the end. Errors name file and row or row
  // group.
  virtual absl::StatusOr<std::optional<TableChunk>> Next() = 0;
};

// Opens one file. A column that the file lacks may come from its folders (InputFile::partitions).
// kData if it is nowhere: the message lists the columns that there are and suggests the nearest
// name. `files` is borrowed.
absl::StatusOr<std::unique_ptr<TableReader>> OpenTable(FileSystem& files, const InputFile& input,
                                                       std::span<const std::string> columns);
// OpenTable for one format each.
absl::StatusOr<std::unique_ptr<TableReader>> OpenParquet(FileSystem& files, const InputFile& input,
                                                         std::span<const std::string> columns);
absl::StatusOr<std::unique_ptr<TableReader>> OpenDelimitedText(
    FileSystem& files, const InputFile& input, std::span<const std::string> columns);
absl::StatusOr<std::unique_ptr<TableReader>> OpenJsonLines(FileSystem& files,
                                                           const InputFile& input,
                                                           std::span<const std::string> columns);

// The columns of a file, without those of its folders. Of JSON lines: the keys of the first objects.
absl::StatusOr<std::vector<std::string>> ParquetColumns(FileSystem& files, const InputFile& input);
absl::StatusOr<std::vector<std::string>> DelimitedTextColumns(FileSystem& files,
                                                              const InputFile& input);
absl::StatusOr<std::vector<std::string>> JsonLinesColumns(FileSystem& files,
                                                          const InputFile& input);

// The `columns` of a batch of `file` as a chunk. *next_row is the number of its first row and is
// advanced to that of the next batch.
TableChunk TakeChunk(std::shared_ptr<const std::string> file, const arrow::RecordBatch& batch,
                     std::span<const std::string> columns, int64_t* next_row);

// All of `inputs` one after the other. Nothing is opened before the first Next().
std::unique_ptr<TableReader> ConcatenateTables(FileSystem& files, std::vector<InputFile> inputs,
                                               std::vector<std::string> columns);

// Reads ahead in a thread of its own, at most `ahead` chunks.
std::unique_ptr<TableReader> ReadAhead(std::unique_ptr<TableReader> reader, int ahead);

// Where `columns` stand in `available`. kData for the first that is missing or occurs twice.
absl::StatusOr<std::vector<int>> FindColumns(const InputFile& input,
                                             std::span<const std::string> columns,
                                             const std::vector<std::string>& available);

}  // namespace torii::data
