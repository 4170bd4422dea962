#include "data/read/table_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

class ConcatenatedTables final : public TableReader {
 public:
  ConcatenatedTables(FileSystem& files, std::vector<InputFile> inputs,
                     std::vector<std::string> columns)
      : files_(files), inputs_(std::move(inputs)), columns_(std::move(columns)) {}

  absl::StatusOr<std::optional<TableChunk>> Next() override {
    while (true) {
      if (current_ == nullptr) {
        if (next_input_ == inputs_.size()) {
          return std::nullopt;
        }
        TORII_ASSIGN_OR_RETURN(current_, OpenTable(files_, inputs_[next_input_], columns_));
        ++next_input_;
      }
      TORII_FAILPOINT("prepare.read");
      TORII_ASSIGN_OR_RETURN(std::optional<TableChunk> chunk, current_->Next());
      if (chunk.has_value()) {
        return chunk;
      }
      current_.reset();
    }
  }

 private:
  FileSystem& files_;
  std::vector<InputFile> inputs_;
  std::vector<std::string> columns_;
  size_t next_input_ = 0;
  std::unique_ptr<TableReader> current_;
};

}  // namespace

absl::StatusOr<std::vector<int>> FindColumns(const std::string& path,
                                             std::span<const std::string> columns,
                                             const std::vector<std::string>& available) {
  std::vector<int> places;
  for (const std::string& column : columns) {
    const auto found = std::find(available.begin(), available.end(), column);
    if (found == available.end()) {
      return DataError(absl::StrCat(path, ": no column \"", column, "\"",
                                    DidYouMean(column, available),
                                    "; the file has: ", absl::StrJoin(available, ", ")));
    }
    if (std::find(found + 1, available.end(), column) != available.end()) {
      return DataError(absl::StrCat(path, ": column \"", column, "\" is there twice; rename one"));
    }
    places.push_back(static_cast<int>(found - available.begin()));
  }
  return places;
}

absl::StatusOr<std::unique_ptr<TableReader>> OpenTable(FileSystem& files, const InputFile& input,
                                                       std::span<const std::string> columns) {
  return input.format == PARQUET ? OpenParquet(files, input, columns)
                                 : OpenDelimitedText(files, input, columns);
}

TableChunk TakeChunk(std::shared_ptr<const std::string> file, const arrow::RecordBatch& batch,
                     std::span<const std::string> columns, int64_t* next_row) {
  TableChunk chunk;
  chunk.file = std::move(file);
  for (const std::string& column : columns) {
    chunk.columns.push_back(batch.GetColumnByName(column));
  }
  chunk.rows = batch.num_rows();
  chunk.first_row = std::exchange(*next_row, *next_row + chunk.rows);
  return chunk;
}

std::unique_ptr<TableReader> ConcatenateTables(FileSystem& files, std::vector<InputFile> inputs,
                                               std::vector<std::string> columns) {
  return std::make_unique<ConcatenatedTables>(files, std::move(inputs), std::move(columns));
}

}  // namespace torii::data
