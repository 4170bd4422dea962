#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/csv/options.h"
#include "arrow/csv/reader.h"
#include "arrow/io/compressed.h"
#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"
#include "arrow/result.h"
#include "arrow/type.h"
#include "arrow/util/compression.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/table_reader.h"

namespace torii::data {
namespace {

// A record must fit into one block.
constexpr int32_t kBlockBytes = 4 << 20;

arrow::Compression::type CodecOf(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return arrow::Compression::GZIP;
    case Compression::kZstd:
      return arrow::Compression::ZSTD;
    case Compression::kBzip2:
      return arrow::Compression::BZ2;
    case Compression::kLz4:
      return arrow::Compression::LZ4_FRAME;
    case Compression::kBrotli:
      return arrow::Compression::BROTLI;
    case Compression::kNone:
      break;
  }
  return arrow::Compression::UNCOMPRESSED;
}

absl::StatusOr<std::shared_ptr<arrow::io::InputStream>> OpenStream(FileSystem& files,
                                                                   const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<ReadableFile> raw, files.OpenForReading(input.path));
  std::shared_ptr<arrow::io::InputStream> stream = ToArrowFile(std::move(raw));
  if (input.compression == Compression::kNone) {
    return stream;
  }
  arrow::Result<std::unique_ptr<arrow::util::Codec>> codec =
      arrow::util::Codec::Create(CodecOf(input.compression));
  if (!codec.ok()) {
    return FromArrow(codec.status(), input.path);
  }
  // The stream keeps the decompressor, not the codec, but the codec must outlive it.
  const std::shared_ptr<arrow::util::Codec> shared_codec = *std::move(codec);
  auto compressed = arrow::io::CompressedInputStream::Make(shared_codec.get(), stream);
  if (!compressed.ok()) {
    return FromArrow(compressed.status(), input.path);
  }
  return std::shared_ptr<arrow::io::InputStream>(
      compressed->get(), [keep = *compressed, shared_codec](arrow::io::InputStream*) {});
}

absl::StatusOr<std::shared_ptr<arrow::csv::StreamingReader>> OpenReader(
    FileSystem& files, const InputFile& input, std::span<const std::string> columns) {
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<arrow::io::InputStream> stream, OpenStream(files, input));
  arrow::csv::ReadOptions read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  read.block_size = kBlockBytes;
  arrow::csv::ParseOptions parse = arrow::csv::ParseOptions::Defaults();
  parse.delimiter = input.format == TSV ? '\t' : ',';
  parse.newlines_in_values = true;
  arrow::csv::ConvertOptions convert = arrow::csv::ConvertOptions::Defaults();
  convert.check_utf8 = false;
  convert.default_column_type = arrow::utf8();
  convert.null_values = {""};
  convert.strings_can_be_null = true;
  convert.include_columns.assign(columns.begin(), columns.end());
  auto reader = arrow::csv::StreamingReader::Make(arrow::io::default_io_context(),
                                                  std::move(stream), read, parse, convert);
  if (!reader.ok()) {
    return FromArrow(reader.status(), input.path);
  }
  return *std::move(reader);
}

class DelimitedTextReader final : public TableReader {
 public:
  DelimitedTextReader(std::shared_ptr<const std::string> path,
                      std::shared_ptr<arrow::csv::StreamingReader> reader,
                      std::vector<std::string> columns)
      : path_(std::move(path)), reader_(std::move(reader)), columns_(std::move(columns)) {}

  absl::StatusOr<std::optional<TableChunk>> Next() override {
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      if (const arrow::Status status = reader_->ReadNext(&batch); !status.ok()) {
        return FromArrow(status, absl::StrCat(*path_, ": after row ", next_row_ - 1));
      }
      if (batch == nullptr) {
        return std::nullopt;
      }
      if (batch->num_rows() > 0) {
        return TakeChunk(path_, *batch, columns_, &next_row_);
      }
    }
  }

 private:
  std::shared_ptr<const std::string> path_;
  std::shared_ptr<arrow::csv::StreamingReader> reader_;
  std::vector<std::string> columns_;
  int64_t next_row_ = 2;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TableReader>> OpenDelimitedText(
    FileSystem& files, const InputFile& input, std::span<const std::string> columns) {
  std::vector<std::string> available;
  {
    TORII_ASSIGN_OR_RETURN(const auto header, OpenReader(files, input, {}));
    available = header->schema()->field_names();
  }
  TORII_RETURN_IF_ERROR(FindColumns(input.path, columns, available).status());
  TORII_ASSIGN_OR_RETURN(auto reader, OpenReader(files, input, columns));
  return std::make_unique<DelimitedTextReader>(
      std::make_shared<const std::string>(input.path), std::move(reader),
      std::vector<std::string>(columns.begin(), columns.end()));
}

}  // namespace torii::data
