#include <deque>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/csv/invalid_row.h"
#include "arrow/csv/options.h"
#include "arrow/csv/reader.h"
#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"
#include "arrow/result.h"
#include "arrow/type.h"
#include "arrow/util/utf8.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/quote_check.h"
#include "data/read/table_reader.h"
#include "data/read/text_stream.h"

namespace torii::data {
namespace {

// A record must fit into one block.
constexpr int32_t kBlockBytes = 4 << 20;

// Passes a text on and ends with an error at a quote that is not closed.
class QuoteCheckedStream final : public arrow::io::InputStream {
 public:
  QuoteCheckedStream(std::shared_ptr<arrow::io::InputStream> stream, FileSystem& files,
                     InputFile input, const QuoteRules& rules)
      : stream_(std::move(stream)), files_(files), input_(std::move(input)), check_(rules) {}

  arrow::Status Close() override { return stream_->Close(); }
  bool closed() const override { return stream_->closed(); }
  arrow::Result<int64_t> Tell() const override { return stream_->Tell(); }
  arrow::Result<int64_t> Read(int64_t nbytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t given, stream_->Read(nbytes, out));
    ARROW_RETURN_NOT_OK(Check({static_cast<const char*>(out), static_cast<size_t>(given)}));
    return given;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    ARROW_ASSIGN_OR_RAISE(auto block, stream_->Read(nbytes));
    ARROW_RETURN_NOT_OK(Check(std::string_view(*block)));
    return block;
  }

 private:
  arrow::Status Check(std::string_view block) {
    const auto fault = block.empty() ? check_.AtEnd() : check_.Check(block);
    return fault.has_value() ? ToArrow(Error(*fault)) : arrow::Status::OK();
  }
  absl::Status Error(const QuoteFault& fault) const {
    TORII_ASSIGN_OR_RETURN(const int64_t record, RecordAt(files_, input_, fault.offset));
    return DataError(absl::StrCat(
        input_.path, ":", record, ": ", fault.what,
        "; correct the file, set `quotes: false` if quotes are ordinary characters in it, or "
        "`max_quoted_lines` if values of many lines are meant"));
  }

  std::shared_ptr<arrow::io::InputStream> stream_;
  FileSystem& files_;
  const InputFile input_;
  QuoteCheck check_;
};

bool Quotes(const InputFile& input) { return input.text.quotes.value_or(false); }

arrow::csv::ReadOptions ReadOptionsFor(const InputFile& input) {
  arrow::csv::ReadOptions read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  read.block_size = kBlockBytes;
  read.column_names = input.text.column_names;
  return read;
}

// Records that Arrow's parser could not cut into values. It may be a block ahead, in another
// thread.
class SkippedRecords {
 public:
  void Add(const arrow::csv::InvalidRow& row) {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back({.number = row.number,
                        .what = absl::StrCat("Expected ", row.expected_columns, " columns, got ",
                                             row.actual_columns),
                        .text = std::string(row.text)});
  }
  // Gives the rows of `chunk`, whose first record has the number *next_row, their numbers around the
  // records that were left out among them and just behind them.
  void AddTo(TableChunk* chunk, int64_t* next_row) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_.empty()) {
      *next_row += chunk->rows;
      return;
    }
    auto numbers = std::make_shared<std::vector<int64_t>>();
    const auto take = [&] {
      for (; !waiting_.empty() && waiting_.front().number <= *next_row; ++*next_row) {
        chunk->skipped.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    };
    for (int64_t i = 0; i < chunk->rows; ++i) {
      take();
      numbers->push_back((*next_row)++);
    }
    take();
    chunk->row_numbers = std::move(numbers);
  }

 private:
  std::mutex mutex_;
  std::deque<SkippedRow> waiting_;  // by number
};

arrow::csv::ParseOptions ParseOptionsFor(const InputFile& input,
                                         const std::shared_ptr<SkippedRecords>& skipped) {
  arrow::csv::ParseOptions parse = arrow::csv::ParseOptions::Defaults();
  parse.delimiter = StreamDelimiter(input);
  parse.quoting = Quotes(input);
  parse.newlines_in_values = Quotes(input);
  if (skipped != nullptr) {
    parse.invalid_row_handler = [skipped](const arrow::csv::InvalidRow& row) {
      skipped->Add(row);
      return arrow::csv::InvalidRowResult::Skip;
    };
  }
  return parse;
}

arrow::csv::ConvertOptions ConvertOptionsFor(const InputFile& input,
                                             std::span<const std::string> columns) {
  arrow::csv::ConvertOptions convert = arrow::csv::ConvertOptions::Defaults();
  convert.check_utf8 = false;  // done column by column, with the row in the message
  convert.default_column_type = arrow::utf8();
  convert.null_values = {""};
  convert.null_values.insert(convert.null_values.end(), input.text.null_values.begin(),
                             input.text.null_values.end());
  convert.strings_can_be_null = true;
  convert.include_columns.assign(columns.begin(), columns.end());
  return convert;
}

std::shared_ptr<SkippedRecords> SkippedRecordsFor(const InputFile& input) {
  return input.text.skip_bad_records ? std::make_shared<SkippedRecords>() : nullptr;
}

using Reader = std::shared_ptr<arrow::csv::StreamingReader>;

absl::Status Explain(const arrow::Status& status, const std::string& context) {
  if (status.message().find("straddling object") != std::string::npos) {
    return DataError(absl::StrCat(context, ": the next row is longer than ", kBlockBytes >> 20,
                                  " MB: a line end or a quote is missing"));
  }
  return FromArrow(status, context);
}

// skipped: gets the records that cannot be cut into values; null: they are errors.
absl::StatusOr<Reader> OpenReader(std::shared_ptr<arrow::io::InputStream> stream,
                                  const InputFile& input, std::span<const std::string> columns,
                                  const std::shared_ptr<SkippedRecords>& skipped) {
  auto reader = arrow::csv::StreamingReader::Make(
      arrow::io::default_io_context(), std::move(stream), ReadOptionsFor(input),
      ParseOptionsFor(input, skipped), ConvertOptionsFor(input, columns));
  if (!reader.ok()) {
    return Explain(reader.status(), input.path);
  }
  return *std::move(reader);
}

class DelimitedTextReader final : public TableReader {
 public:
  DelimitedTextReader(const InputFile& input, Reader reader, std::vector<std::string> columns,
                      std::shared_ptr<SkippedRecords> skipped)
      : path_(std::make_shared<const std::string>(input.path)),
        skipped_(std::move(skipped)),
        reader_(std::move(reader)),
        columns_(std::move(columns)),
        next_row_(input.text.column_names.empty() ? 2 : 1) {}

  absl::StatusOr<std::optional<TableChunk>> Next() override {
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      if (const arrow::Status status = reader_->ReadNext(&batch); !status.ok()) {
        return Explain(status, absl::StrCat(*path_, ": after row ", next_row_ - 1));
      }
      if (batch == nullptr) {
        return AtEnd();
      }
      if (batch->num_rows() > 0) {
        int64_t next_row = next_row_;
        TableChunk chunk = TakeChunk(path_, *batch, columns_, &next_row);
        chunk.typed.assign(columns_.size(), false);
        if (skipped_ != nullptr) {
          skipped_->AddTo(&chunk, &next_row_);
        } else {
          next_row_ = next_row;
        }
        return chunk;
      }
    }
  }

 private:
  // A chunk without rows for the records that were left out at the end of the file.
  std::optional<TableChunk> AtEnd() {
    TableChunk rest;
    if (skipped_ != nullptr) {
      rest.file = path_;
      rest.first_row = next_row_;
      rest.columns.assign(columns_.size(), std::make_shared<arrow::NullArray>(0));
      rest.typed.assign(columns_.size(), false);
      skipped_->AddTo(&rest, &next_row_);
    }
    return rest.skipped.empty() ? std::nullopt : std::optional<TableChunk>(std::move(rest));
  }

  std::shared_ptr<const std::string> path_;
  std::shared_ptr<SkippedRecords> skipped_;
  Reader reader_;
  std::vector<std::string> columns_;
  int64_t next_row_;
};

absl::Status CheckHeader(const InputFile& input, const std::vector<std::string>& names) {
  arrow::util::InitializeUTF8();
  for (const std::string& name : names) {
    if (!arrow::util::ValidateUTF8(name)) {
      return DataError(absl::StrCat(input.path,
                                    ": the header is not valid UTF-8; set `encoding`, "
                                    "for example \"ISO-8859-1\" or \"UTF-16\""));
    }
  }
  return absl::OkStatus();
}

// The text of the file, with its quotes checked where they count. columns: see QuoteRules.
absl::StatusOr<std::shared_ptr<arrow::io::InputStream>> OpenCheckedText(FileSystem& files,
                                                                        const InputFile& input,
                                                                        size_t columns) {
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<arrow::io::InputStream> stream,
                         OpenTextStream(files, input));
  if (Quotes(input)) {
    const std::optional<int32_t>& lines = input.text.max_quoted_lines;
    const QuoteRules rules{.delimiter = StreamDelimiter(input),
                           .max_lines = lines.value_or(kMaxQuotedLines),
                           .columns = lines ? 0 : static_cast<int64_t>(columns)};
    stream = std::make_shared<QuoteCheckedStream>(std::move(stream), files, input, rules);
  }
  return stream;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> DelimitedTextColumns(FileSystem& files,
                                                              const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(auto stream, OpenCheckedText(files, input, 0));
  TORII_ASSIGN_OR_RETURN(const Reader header,
                         OpenReader(std::move(stream), input, {}, SkippedRecordsFor(input)));
  std::vector<std::string> names = header->schema()->field_names();
  TORII_RETURN_IF_ERROR(CheckHeader(input, names));
  return names;
}

absl::StatusOr<std::unique_ptr<TableReader>> OpenDelimitedText(
    FileSystem& files, const InputFile& input, std::span<const std::string> columns) {
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> available,
                         DelimitedTextColumns(files, input));
  TORII_RETURN_IF_ERROR(FindColumns(input, columns, available).status());
  TORII_ASSIGN_OR_RETURN(auto stream, OpenCheckedText(files, input, available.size()));
  auto skipped = SkippedRecordsFor(input);
  TORII_ASSIGN_OR_RETURN(Reader reader, OpenReader(std::move(stream), input, columns, skipped));
  return std::make_unique<DelimitedTextReader>(
      input, std::move(reader), std::vector<std::string>(columns.begin(), columns.end()),
      std::move(skipped));
}

}  // namespace torii::data
