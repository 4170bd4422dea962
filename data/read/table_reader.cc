#include "data/read/table_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "arrow/array.h"
#include "arrow/array/util.h"
#include "arrow/record_batch.h"
#include "arrow/scalar.h"
#include "arrow/type.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"

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

// Columns that the names of the folders give, set before those of the file.
class PartitionedTable final : public TableReader {
 public:
  // from_folder [columns]: the value of a column that is not in the file.
  PartitionedTable(std::unique_ptr<TableReader> reader,
                   std::vector<std::shared_ptr<arrow::Array>> from_folder)
      : reader_(std::move(reader)), from_folder_(std::move(from_folder)) {}

  absl::StatusOr<std::optional<TableChunk>> Next() override {
    TORII_ASSIGN_OR_RETURN(std::optional<TableChunk> chunk, reader_->Next());
    if (!chunk.has_value()) {
      return chunk;
    }
    TableChunk all = *chunk;
    all.columns.clear();
    all.typed.clear();
    size_t next = 0;
    for (const std::shared_ptr<arrow::Array>& value : from_folder_) {
      if (value == nullptr) {
        all.typed.push_back(chunk->typed[next]);
        all.columns.push_back(chunk->columns[next++]);
        continue;
      }
      all.typed.push_back(false);
      TORII_ASSIGN_OR_RETURN(all.columns.emplace_back(), Repeat(value, chunk->rows));
    }
    return all;
  }

 private:
  static absl::StatusOr<std::shared_ptr<arrow::Array>> Repeat(
      const std::shared_ptr<arrow::Array>& value, int64_t rows) {
    auto places = arrow::MakeArrayFromScalar(arrow::Int32Scalar(0), rows);
    auto repeated = places.ok() ? arrow::DictionaryArray::FromArrays(*places, value)
                                : arrow::Result<std::shared_ptr<arrow::Array>>(places.status());
    if (!repeated.ok()) {
      return FromArrow(repeated.status(), "a column of the folders");
    }
    return *std::move(repeated);
  }

  std::unique_ptr<TableReader> reader_;
  std::vector<std::shared_ptr<arrow::Array>> from_folder_;
};

// [1] The text, or a missing one.
absl::StatusOr<std::shared_ptr<arrow::Array>> OneText(const std::optional<std::string>& text) {
  auto array = text.has_value() ? arrow::MakeArrayFromScalar(arrow::StringScalar(*text), 1)
                                : arrow::MakeArrayOfNull(arrow::utf8(), 1);
  return array.ok() ? absl::StatusOr<std::shared_ptr<arrow::Array>>(*std::move(array))
                    : FromArrow(array.status(), "a column of the folders");
}

absl::StatusOr<std::unique_ptr<TableReader>> OpenFile(FileSystem& files, const InputFile& input,
                                                      std::span<const std::string> columns) {
  switch (input.format) {
    case PARQUET:
      return OpenParquet(files, input, columns);
    case JSONL:
      return OpenJsonLines(files, input, columns);
    default:
      return OpenDelimitedText(files, input, columns);
  }
}

absl::StatusOr<std::vector<std::string>> ColumnsOfFile(FileSystem& files, const InputFile& input) {
  switch (input.format) {
    case PARQUET:
      return ParquetColumns(files, input);
    case JSONL:
      return JsonLinesColumns(files, input);
    default:
      return DelimitedTextColumns(files, input);
  }
}

// What else may be wrong when a column is missing.
std::string HintAt(const InputFile& input, const std::vector<std::string>& available) {
  std::string hint;
  for (const auto& [name, value] : input.partitions) {
    absl::StrAppend(&hint, hint.empty() ? "; its folders give: " : ", ", name);
  }
  const bool delimited = input.format == CSV || input.format == TSV;
  if (delimited && available.size() == 1) {
    absl::StrAppend(&hint, "; set `delimiter` if it is not \"", absl::CEscape(input.text.delimiter),
                    "\"");
  }
  if (delimited && input.text.column_names.empty()) {
    absl::StrAppend(&hint, "; set `column_names` if the first line is not a header");
  }
  if (input.format == JSONL) {
    absl::StrAppend(&hint,
                    "; one of the first objects of a file must have the key (it may be null)");
  }
  return hint;
}

}  // namespace

absl::StatusOr<std::vector<int>> FindColumns(const InputFile& input,
                                             std::span<const std::string> columns,
                                             const std::vector<std::string>& available) {
  const std::string& path = input.path;
  std::vector<int> places;
  for (const std::string& column : columns) {
    const auto found = std::find(available.begin(), available.end(), column);
    if (found == available.end()) {
      return DataError(absl::StrCat(
          path, ": no column \"", column, "\"", DidYouMean(column, available),
          "; the file has: ", absl::StrJoin(available, ", "), HintAt(input, available)));
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
  const auto from_folders = [&](const std::string& column) {
    return std::find_if(
        input.partitions.begin(), input.partitions.end(),
        [&](const PartitionColumn& partition) { return partition.first == column; });
  };
  if (std::none_of(columns.begin(), columns.end(), [&](const std::string& column) {
        return from_folders(column) != input.partitions.end();
      })) {
    return OpenFile(files, input, columns);
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> in_file, ColumnsOfFile(files, input));
  std::vector<std::string> wanted;
  std::vector<std::shared_ptr<arrow::Array>> values;
  for (const std::string& column : columns) {
    const auto partition = from_folders(column);
    const bool has = std::find(in_file.begin(), in_file.end(), column) != in_file.end();
    if (has || partition == input.partitions.end()) {
      wanted.push_back(column);
      values.push_back(nullptr);
    } else {
      TORII_ASSIGN_OR_RETURN(values.emplace_back(), OneText(partition->second));
    }
  }
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<TableReader> reader, OpenFile(files, input, wanted));
  return std::make_unique<PartitionedTable>(std::move(reader), std::move(values));
}

TableChunk TakeChunk(std::shared_ptr<const std::string> file, const arrow::RecordBatch& batch,
                     std::span<const std::string> columns, int64_t* next_row) {
  TableChunk chunk;
  chunk.file = std::move(file);
  for (const std::string& column : columns) {
    chunk.columns.push_back(batch.GetColumnByName(column));
  }
  chunk.typed.assign(columns.size(), true);
  chunk.rows = batch.num_rows();
  chunk.first_row = std::exchange(*next_row, *next_row + chunk.rows);
  return chunk;
}

std::unique_ptr<TableReader> ConcatenateTables(FileSystem& files, std::vector<InputFile> inputs,
                                               std::vector<std::string> columns) {
  return std::make_unique<ConcatenatedTables>(files, std::move(inputs), std::move(columns));
}

}  // namespace torii::data
