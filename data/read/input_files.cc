#include "data/read/input_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/read/glob.h"

namespace torii::data {
namespace {

constexpr std::string_view kParquetMagic = "PAR1";
constexpr std::string_view kMissingPartition = "__HIVE_DEFAULT_PARTITION__";

struct Suffix {
  std::string_view text;
  Compression compression;
};
constexpr std::array<Suffix, 6> kCompressed = {{{".gz", Compression::kGzip},
                                                {".zst", Compression::kZstd},
                                                {".bz2", Compression::kBzip2},
                                                {".lz4", Compression::kLz4},
                                                {".br", Compression::kBrotli},
                                                {".brotli", Compression::kBrotli}}};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return lower;
}

absl::StatusOr<bool> StartsLikeParquet(FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.OpenForReading(path));
  std::string magic(kParquetMagic.size(), '\0');
  if (file->size() < static_cast<int64_t>(magic.size())) {
    return false;
  }
  TORII_RETURN_IF_ERROR(file->ReadAt(0, static_cast<int64_t>(magic.size()), magic.data()));
  return magic == kParquetMagic;
}

absl::StatusOr<InputFile> Describe(FileSystem& files, const std::string& path,
                                   const FileFormat& format) {
  InputFile input{.path = path, .format = format.format, .text = format.text};
  input.partitions = PartitionsOf(path);
  std::string name = Lower(BaseName(path));
  for (const Suffix& suffix : kCompressed) {
    if (name.ends_with(suffix.text)) {
      input.compression = suffix.compression;
      name.resize(name.size() - suffix.text.size());
      break;
    }
  }
  if (format.format == AUTO) {
    if (name.ends_with(".csv")) {
      input.format = CSV;
    } else if (name.ends_with(".tsv") || name.ends_with(".txt")) {
      input.format = TSV;
    } else if (name.ends_with(".jsonl") || name.ends_with(".ndjson")) {
      input.format = JSONL;
    } else if (name.ends_with(".parquet") || name.ends_with(".pq")) {
      input.format = PARQUET;
    } else {
      TORII_ASSIGN_OR_RETURN(const bool parquet, StartsLikeParquet(files, path));
      if (!parquet) {
        return DataError(absl::StrCat(path,
                                      ": the name does not tell the format (.parquet, .csv, .tsv, "
                                      ".txt, .jsonl, .ndjson); set `format: CSV`, TSV, JSONL or "
                                      "PARQUET"));
      }
      input.format = PARQUET;
    }
  }
  if (input.format == PARQUET && input.compression != Compression::kNone) {
    // A name such as x.parquet.brotli mostly tells the codec of the pages inside.
    TORII_ASSIGN_OR_RETURN(const bool parquet, StartsLikeParquet(files, path));
    if (!parquet) {
      return DataError(absl::StrCat(path,
                                    ": a Parquet file that was compressed as a whole cannot "
                                    "be read; decompress it first"));
    }
    input.compression = Compression::kNone;
  }
  TextFormat& text = input.text;
  text.quotes = text.quotes.value_or(input.format == CSV && text.delimiter.size() <= 1);
  if (text.delimiter.empty() || input.format == JSONL) {
    text.delimiter = input.format == TSV ? "\t" : ",";
  }
  return input;
}

// "a%3Ab" -> "a:b", as Spark and Hive write values.
std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 1])) != 0 &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 2])) != 0;
    decoded.push_back(
        escape ? static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16))
               : text[i]);
    i += escape ? 2 : 0;
  }
  return decoded;
}

absl::Status MissingFile(FileSystem& files, const std::string& path, const std::string& field) {
  std::string hint;
  const std::string folder = ParentPath(path);
  if (const auto names = files.List(folder.empty() ? "." : folder); names.ok()) {
    if (std::find(names->begin(), names->end(), BaseName(path)) != names->end()) {
      return NoInputError(
          absl::StrCat(path, ": is a link to a file that is not there (", field, ")"));
    }
    hint = DidYouMean(BaseName(path), *names);
  }
  return NoInputError(absl::StrCat(path, ": no such file", hint, " (", field, ")"));
}

// The files that one path of the configuration names.
absl::StatusOr<std::vector<std::string>> FilesOf(FileSystem& files, const std::string& path,
                                                 const std::string& field) {
  TORII_ASSIGN_OR_RETURN(const FileInfo as_is, files.Info(path));
  std::vector<std::string> found = {path};
  if (!as_is.exists && HasGlob(path)) {
    TORII_ASSIGN_OR_RETURN(found, ExpandGlob(files, path));
    if (found.empty()) {
      return NoInputError(absl::StrCat(path, ": no file matches (", field, ")"));
    }
  } else if (as_is.exists && as_is.is_directory) {
    TORII_ASSIGN_OR_RETURN(found, DataFilesBelow(files, path));
    if (found.empty()) {
      return NoInputError(absl::StrCat(path, ": the folder has no data files (", field,
                                       "); names that begin with '.' or '_' do not count"));
    }
  }
  return found;
}

}  // namespace

std::vector<PartitionColumn> PartitionsOf(const std::string& path) {
  std::vector<PartitionColumn> partitions;
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    if (equals == std::string::npos || equals == 0) {
      continue;
    }
    const std::string value = parts[i].substr(equals + 1);
    partitions.emplace_back(parts[i].substr(0, equals),
                            value == kMissingPartition
                                ? std::nullopt
                                : std::optional<std::string>(PercentDecoded(value)));
  }
  return partitions;
}

absl::StatusOr<std::vector<InputFile>> FindInputFiles(FileSystem& files,
                                                      std::span<const std::string> paths,
                                                      const FileFormat& format,
                                                      const std::string& field) {
  std::vector<InputFile> inputs;
  std::map<std::string, std::string> named_by;  // file -> the path of the configuration
  for (const std::string& path : paths) {
    TORII_ASSIGN_OR_RETURN(const std::vector<std::string> found, FilesOf(files, path, field));
    for (const std::string& file : found) {
      const auto [place, first] = named_by.emplace(file, path);
      if (!first) {
        return DataError(absl::StrCat(file, ": is named twice, by \"", place->second, "\" and \"",
                                      path, "\"; its rows would count twice (", field, ")"));
      }
      TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(file));
      if (!info.exists) {
        return MissingFile(files, file, field);
      }
      if (info.size == 0) {
        return DataError(absl::StrCat(file, ": the file is empty (0 bytes) (", field, ")"));
      }
      TORII_ASSIGN_OR_RETURN(InputFile input, Describe(files, file, format));
      inputs.push_back(std::move(input));
    }
  }
  return inputs;
}

}  // namespace torii::data
