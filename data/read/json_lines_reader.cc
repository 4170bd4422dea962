#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/json_block_parser.h"
#include "data/read/line_blocks.h"
#include "data/read/table_reader.h"
#include "data/read/text_stream.h"
#include "nlohmann/json.hpp"

namespace torii::data {
namespace {

using Batch = std::shared_ptr<arrow::RecordBatch>;

constexpr size_t kObjectsForKeys = 1000;

// Objects that were parsed together, and a line behind them that could not be.
struct Piece {
  Batch batch;  // may have no rows
  std::vector<SkippedRow> skipped;
};

// Where each line of `lines` ends.
std::vector<size_t> LineEnds(std::string_view lines) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < lines.size();) {
    const size_t end = lines.find('\n', at);
    at = end == std::string_view::npos ? lines.size() : end + 1;
    ends.push_back(at);
  }
  return ends;
}

// The keys of the first objects, each once. What is no object is told when it is parsed.
std::vector<std::string> KeysOf(std::string_view lines) {
  std::vector<std::string> keys;
  std::set<std::string> seen;
  const std::vector<size_t> ends = LineEnds(lines);
  for (size_t k = 0, begin = 0; k < std::min(ends.size(), kObjectsForKeys); begin = ends[k++]) {
    const auto object = nlohmann::ordered_json::parse(lines.substr(begin, ends[k] - begin), nullptr,
                                                      /*allow_exceptions=*/false);
    if (!object.is_object()) {
      continue;
    }
    for (const auto& [key, value] : object.items()) {
      if (seen.insert(key).second) {
        keys.push_back(key);
      }
    }
  }
  return keys;
}

// "JSON parse error: Invalid value. in row 3" without the row, which counts within a block.
std::string WithoutRow(const std::string& message) {
  const size_t row = message.rfind(" in row ");
  return row == std::string::npos ? message : message.substr(0, row);
}

class JsonLinesReader final : public TableReader {
 public:
  JsonLinesReader(const InputFile& input, std::shared_ptr<arrow::io::InputStream> stream)
      : path_(std::make_shared<const std::string>(input.path)),
        skip_bad_lines_(input.text.skip_bad_records),
        blocks_(std::move(stream), input.path) {}

  // The keys of the first objects. Before anything else.
  absl::StatusOr<std::vector<std::string>> ReadNames() {
    TORII_ASSIGN_OR_RETURN(lines_, blocks_.Next());
    return KeysOf(lines_);
  }
  void SetColumns(std::span<const std::string> columns) {
    columns_.assign(columns.begin(), columns.end());
    parser_.SetColumns(columns);
  }

  absl::StatusOr<std::optional<TableChunk>> Next() override {
    while (true) {
      TORII_ASSIGN_OR_RETURN(std::optional<Piece> piece, NextPiece());
      if (!piece.has_value()) {
        return std::nullopt;
      }
      if (piece->batch->num_rows() == 0 && piece->skipped.empty()) {
        continue;  // empty lines
      }
      TableChunk chunk = TakeChunk(path_, *piece->batch, columns_, &next_row_);
      next_row_ += static_cast<int64_t>(piece->skipped.size());
      chunk.skipped = std::move(piece->skipped);
      return chunk;
    }
  }

 private:
  absl::StatusOr<std::optional<Piece>> NextPiece() {
    if (lines_.empty()) {
      TORII_ASSIGN_OR_RETURN(lines_, blocks_.Next());
    }
    if (lines_.empty()) {
      return std::nullopt;
    }
    Piece piece;
    if (auto batch = parser_.Parse(lines_); batch.ok()) {
      piece.batch = *std::move(batch);
      lines_.clear();
    } else {
      TORII_ASSIGN_OR_RETURN(piece, UpToBadLine());
    }
    rows_parsed_ += piece.batch->num_rows() + static_cast<int64_t>(piece.skipped.size());
    return piece;
  }

  // Takes the lines before the first bad one off lines_, and that one: an error, or skipped.
  absl::StatusOr<Piece> UpToBadLine() {
    const std::vector<size_t> ends = LineEnds(lines_);
    const auto parse = [&](size_t count) {
      return parser_.Parse(std::string_view(lines_).substr(0, count == 0 ? 0 : ends[count - 1]));
    };
    // The first `good` lines can be parsed, the first `bad` ones cannot.
    size_t good = 0;
    size_t bad = ends.size();
    while (good + 1 < bad) {
      const size_t middle = (good + bad) / 2;
      (parse(middle).ok() ? good : bad) = middle;
    }
    Piece piece;
    auto batch = parse(good);  // no line: no row, with every column
    if (!batch.ok()) {
      return FromArrow(batch.status(), *path_);
    }
    piece.batch = *std::move(batch);
    const std::string what = WithoutRow(parse(bad).status().message());
    const int64_t number = 1 + rows_parsed_ + piece.batch->num_rows();
    if (!skip_bad_lines_) {
      return DataError(absl::StrCat(*path_, ":", number, ": ", what));
    }
    const size_t begin = good == 0 ? 0 : ends[good - 1];
    std::string text = lines_.substr(begin, ends[bad - 1] - begin);
    text.erase(text.find_last_not_of("\r\n") + 1);
    piece.skipped.push_back({.number = number, .what = what, .text = std::move(text)});
    lines_.erase(0, ends[bad - 1]);
    return piece;
  }

  std::shared_ptr<const std::string> path_;
  const bool skip_bad_lines_;
  LineBlocks blocks_;
  JsonBlockParser parser_;
  std::vector<std::string> columns_;
  std::string lines_;  // not parsed yet
  int64_t rows_parsed_ = 0;
  int64_t next_row_ = 1;
};

absl::StatusOr<std::unique_ptr<JsonLinesReader>> Open(FileSystem& files, const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(auto stream, OpenTextStream(files, input));
  return std::make_unique<JsonLinesReader>(input, std::move(stream));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> JsonLinesColumns(FileSystem& files,
                                                          const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(const auto reader, Open(files, input));
  return reader->ReadNames();
}

absl::StatusOr<std::unique_ptr<TableReader>> OpenJsonLines(FileSystem& files,
                                                           const InputFile& input,
                                                           std::span<const std::string> columns) {
  TORII_ASSIGN_OR_RETURN(auto reader, Open(files, input));
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, reader->ReadNames());
  if (!names.empty()) {  // else there is no row
    TORII_RETURN_IF_ERROR(FindColumns(input, columns, names).status());
  }
  reader->SetColumns(columns);
  return reader;
}

}  // namespace torii::data
