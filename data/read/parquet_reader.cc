#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "arrow/result.h"
#include "arrow/type.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/table_reader.h"
#include "parquet/arrow/reader.h"
#include "parquet/arrow/schema.h"
#include "parquet/file_reader.h"
#include "parquet/properties.h"

namespace torii::data {
namespace {

constexpr int64_t kRowsPerChunk = 65536;

void CollectLeaves(const parquet::arrow::SchemaField& field, std::vector<int>* leaves) {
  if (field.is_leaf()) {
    leaves->push_back(field.column_index);
  }
  for (const parquet::arrow::SchemaField& child : field.children) {
    CollectLeaves(child, leaves);
  }
}

// Row group by row group, so that no more than one is held.
class ParquetReader final : public TableReader {
 public:
  ParquetReader(std::shared_ptr<const std::string> path,
                std::unique_ptr<parquet::arrow::FileReader> file, std::vector<std::string> columns,
                std::vector<int> leaves)
      : path_(std::move(path)),
        file_(std::move(file)),
        columns_(std::move(columns)),
        leaves_(std::move(leaves)) {}

  absl::StatusOr<std::optional<TableChunk>> Next() override {
    while (true) {
      if (group_ == nullptr) {
        if (next_group_ == file_->num_row_groups()) {
          return std::nullopt;
        }
        arrow::Result<std::unique_ptr<arrow::RecordBatchReader>> group =
            file_->GetRecordBatchReader({next_group_}, leaves_);
        if (!group.ok()) {
          return FromArrow(group.status(), Place(next_group_));
        }
        group_ = *std::move(group);
        ++next_group_;
      }
      std::shared_ptr<arrow::RecordBatch> batch;
      if (const arrow::Status status = group_->ReadNext(&batch); !status.ok()) {
        return FromArrow(status, Place(next_group_ - 1));
      }
      if (batch == nullptr) {
        group_.reset();
      } else if (batch->num_rows() > 0) {
        return TakeChunk(path_, *batch, columns_, &next_row_);
      }
    }
  }

 private:
  std::string Place(int group) const {
    return absl::StrCat(*path_, ": row group ", group, " (from row ", next_row_,
                        ") cannot be read: damaged or truncated Parquet file");
  }

  std::shared_ptr<const std::string> path_;
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::vector<std::string> columns_;
  std::vector<int> leaves_;
  int next_group_ = 0;
  int64_t next_row_ = 1;
  std::unique_ptr<arrow::RecordBatchReader> group_;
};

absl::StatusOr<std::unique_ptr<parquet::arrow::FileReader>> OpenFile(FileSystem& files,
                                                                     const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<ReadableFile> raw, files.OpenForReading(input.path));
  const std::string damaged = absl::StrCat(
      input.path, ": cannot be opened as Parquet: damaged, truncated, or another format");
  parquet::ArrowReaderProperties properties(/*use_threads=*/false);
  properties.set_batch_size(kRowsPerChunk);
  properties.set_pre_buffer(false);
  parquet::ReaderProperties pages = parquet::default_reader_properties();
  pages.set_page_checksum_verification(true);  // of pages that have one
  parquet::arrow::FileReaderBuilder builder;
  TORII_RETURN_IF_ERROR(FromArrow(builder.Open(ToArrowFile(std::move(raw)), pages), damaged));
  builder.properties(properties);
  arrow::Result<std::unique_ptr<parquet::arrow::FileReader>> file = builder.Build();
  if (!file.ok()) {
    return FromArrow(file.status(), damaged);
  }
  return *std::move(file);
}

std::vector<std::string> NamesOf(const parquet::arrow::FileReader& file) {
  std::vector<std::string> names;
  for (const parquet::arrow::SchemaField& field : file.manifest().schema_fields) {
    names.push_back(field.field->name());
  }
  return names;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParquetColumns(FileSystem& files, const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(const auto file, OpenFile(files, input));
  return NamesOf(*file);
}

absl::StatusOr<std::unique_ptr<TableReader>> OpenParquet(FileSystem& files, const InputFile& input,
                                                         std::span<const std::string> columns) {
  TORII_ASSIGN_OR_RETURN(auto file, OpenFile(files, input));
  TORII_ASSIGN_OR_RETURN(const std::vector<int> places,
                         FindColumns(input, columns, NamesOf(*file)));
  std::vector<int> leaves;
  for (const int place : places) {
    CollectLeaves(file->manifest().schema_fields[static_cast<size_t>(place)], &leaves);
  }
  std::sort(leaves.begin(), leaves.end());
  leaves.erase(std::unique(leaves.begin(), leaves.end()), leaves.end());
  return std::make_unique<ParquetReader>(
      std::make_shared<const std::string>(input.path), std::move(file),
      std::vector<std::string>(columns.begin(), columns.end()), std::move(leaves));
}

}  // namespace torii::data
