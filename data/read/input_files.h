// Which files a configuration names: globs and folders expanded, formats and compression told.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"

namespace torii::data {

enum class Compression { kNone, kGzip, kZstd, kBzip2, kLz4, kBrotli };

// The default of max_quoted_lines.
inline constexpr int32_t kMaxQuotedLines = 100;

// How the text of a CSV or TSV file is cut into values.
struct TextFormat {
  std::string delimiter;  // empty: the one of the format
  std::optional<bool> quotes;
  std::optional<int32_t> max_quoted_lines;
  std::vector<std::string> column_names;  // of a file without a header line
  std::vector<std::string> null_values;   // beside ""
  std::string encoding;                   // empty: UTF-8
  // Records that cannot be cut into values are left out (TableChunk::skipped), not an error.
  bool skip_bad_records = false;
};

struct FileFormat {
  Format format = AUTO;
  TextFormat text;
};

// The format that `config` (InteractionFiles or SideFile) describes.
template <typename Config>
FileFormat FormatOf(const Config& config) {
  FileFormat format{.format = config.format(), .text = {}};
  format.text.delimiter = config.delimiter();
  if (config.has_quotes()) {
    format.text.quotes = config.quotes();
  }
  // A configuration with its defaults filled in says nothing by the default.
  if (config.max_quoted_lines() != kMaxQuotedLines) {
    format.text.max_quoted_lines = config.max_quoted_lines();
  }
  format.text.column_names = {config.column_names().begin(), config.column_names().end()};
  format.text.null_values = {config.null_values().begin(), config.null_values().end()};
  format.text.encoding = config.encoding();
  if constexpr (requires { config.max_bad_rows(); }) {
    format.text.skip_bad_records = config.max_bad_rows() > 0;
  }
  return format;
}

// A column that a folder's name gives to all rows below it: "date=2026-01-01". nullopt: missing.
using PartitionColumn = std::pair<std::string, std::optional<std::string>>;

struct InputFile {
  std::string path;
  Format format = PARQUET;                       // never AUTO
  Compression compression = Compression::kNone;  // of the whole file; Parquet compresses inside
  TextFormat text = {};                          // of CSV and TSV, delimiter and quotes told
  std::vector<PartitionColumn> partitions = {};
};

// The files of `paths` in order; the files of one glob or folder are sorted by name. A folder means
// the data files in it, at any depth. Messages call the paths `field` ("data.interactions.path").
// Errors: kNoInput for a missing file, a glob without matches or a folder without data files; kData
// for an empty file, a file that is named twice, or a format that cannot be told.
absl::StatusOr<std::vector<InputFile>> FindInputFiles(FileSystem& files,
                                                      std::span<const std::string> paths,
                                                      const FileFormat& format,
                                                      const std::string& field);

// The columns that the folders "name=value" of a path give.
std::vector<PartitionColumn> PartitionsOf(const std::string& path);

}  // namespace torii::data
