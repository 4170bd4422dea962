// Vectors as Parquet, through Arrow.
#include <arrow/api.h>
#include <parquet/arrow/writer.h>

#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/arrow_output.h"
#include "exports/export_files.h"

namespace torii::exports {
namespace {

arrow::Result<std::shared_ptr<arrow::Array>> TextArray(const std::vector<std::string>& texts) {
  arrow::LargeStringBuilder builder;
  for (const std::string& text : texts) ARROW_RETURN_NOT_OK(builder.Append(text));
  return builder.Finish();
}

class ParquetVectorTable final : public VectorTable {
 public:
  ParquetVectorTable(const std::string& path, const VectorTableShape& shape,
                     std::shared_ptr<DigestedFile> file)
      : path_(path), shape_(shape), file_(std::move(file)) {}

  absl::Status Open() {
    arrow::FieldVector fields;
    fields.push_back(
        arrow::field("id", shape_.integer_ids ? arrow::int64() : arrow::large_utf8(), false));
    if (shape_.titles) fields.push_back(arrow::field("title", arrow::large_utf8(), false));
    fields.push_back(
        arrow::field("vector",
                     arrow::fixed_size_list(arrow::field("item", arrow::float32(), false),
                                            static_cast<int32_t>(shape_.dim)),
                     false));
    schema_ = arrow::schema(fields);
    // Random floats do not compress; the schema is kept so that the list's length comes back.
    auto properties = parquet::WriterProperties::Builder().disable_dictionary()->build();
    auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
    auto writer =
        parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(),
                                         data::ToArrowOutput(file_), properties, arrow_properties);
    if (writer.ok()) writer_ = std::move(writer).ValueOrDie();
    return Ours(writer.status());
  }

  absl::Status Append(const IdBlock& ids, std::span<const float> vectors) final {
    const auto rows =
        static_cast<int64_t>(shape_.integer_ids ? ids.integers.size() : ids.texts.size());
    auto table = MakeTable(ids, vectors, rows);
    TORII_RETURN_IF_ERROR(Ours(table.status()));
    return Ours(writer_->WriteTable(**table, std::max<int64_t>(rows, 1)));
  }

  absl::StatusOr<ExportedFile> Close() final {
    TORII_RETURN_IF_ERROR(Ours(writer_->Close()));
    return file_->Finish();
  }

 private:
  arrow::Result<std::shared_ptr<arrow::Table>> MakeTable(const IdBlock& ids,
                                                         std::span<const float> vectors,
                                                         int64_t rows) const {
    arrow::ArrayVector columns;
    if (shape_.integer_ids) {
      columns.push_back(
          std::make_shared<arrow::Int64Array>(rows, arrow::Buffer::Wrap(ids.integers)));
    } else {
      ARROW_ASSIGN_OR_RAISE(auto texts, TextArray(ids.texts));
      columns.push_back(texts);
    }
    if (shape_.titles) {
      ARROW_ASSIGN_OR_RAISE(auto titles, TextArray(ids.titles));
      columns.push_back(titles);
    }
    const auto floats = std::make_shared<arrow::FloatArray>(
        rows * shape_.dim, arrow::Buffer::Wrap(vectors.data(), vectors.size()));
    columns.push_back(std::make_shared<arrow::FixedSizeListArray>(
        schema_->field(schema_->num_fields() - 1)->type(), rows, floats));
    return arrow::Table::Make(schema_, columns, rows);
  }

  // Our own error if the file failed, else Arrow's.
  absl::Status Ours(const arrow::Status& status) const { return data::FromArrow(status, path_); }

  std::string path_;
  VectorTableShape shape_;
  std::shared_ptr<DigestedFile> file_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VectorTable>> VectorTable::Create(FileSystem& files,
                                                                 const std::string& folder,
                                                                 const std::string& name,
                                                                 const VectorTableShape& shape) {
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<DigestedFile> file,
                         DigestedFile::Create(files, folder, name));
  auto table = std::make_unique<ParquetVectorTable>(JoinPath(folder, name), shape, std::move(file));
  TORII_RETURN_IF_ERROR(table->Open());
  return table;
}

}  // namespace torii::exports
