#include "data/read/input_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/read/uri_file_system.h"

namespace torii::data {
namespace {

constexpr std::string_view kParquetMagic = "PAR1";

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

bool HasGlob(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

// Matches one "[...]" at pattern[0]; `length` is set to its length, or 0 if it is not closed.
bool MatchesClass(char c, std::string_view pattern, size_t* length) {
  size_t i = 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  i += negated ? 1 : 0;
  bool found = false;
  const size_t first = i;
  for (; i < pattern.size() && (pattern[i] != ']' || i == first); ++i) {
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      found = found || (pattern[i] <= c && c <= pattern[i + 2]);
      i += 2;
    } else {
      found = found || pattern[i] == c;
    }
  }
  *length = i < pattern.size() ? i + 1 : 0;
  return found != negated;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return lower;
}

// The folders and files that match `pattern`, whose first glob is in the component after `base`.
absl::Status Expand(FileSystem& files, const std::string& base, std::string_view pattern,
                    std::vector<std::string>* found) {
  const size_t slash = pattern.find('/');
  const std::string_view head = pattern.substr(0, slash);
  const std::string_view rest =
      slash == std::string_view::npos ? std::string_view() : pattern.substr(slash + 1);
  std::vector<std::string> names;
  if (HasGlob(head)) {
    const std::string folder = base.empty() ? "." : base;
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(folder));
    if (!info.exists || !info.is_directory) {
      return absl::OkStatus();
    }
    TORII_ASSIGN_OR_RETURN(names, files.List(folder));
  } else {
    names.emplace_back(head);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (HasGlob(head) && (!MatchesGlob(name, head) || (name[0] == '.' && head[0] != '.'))) {
      continue;
    }
    const std::string path = base.empty() ? name : JoinPath(base, name);
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
    if (!rest.empty() && info.exists && info.is_directory) {
      TORII_RETURN_IF_ERROR(Expand(files, path, rest, found));
    } else if (rest.empty() && info.exists && !info.is_directory) {
      found->push_back(path);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ExpandGlob(FileSystem& files, const std::string& glob) {
  // What is before the last '/' ahead of the first glob character is taken as it stands.
  const size_t first = glob.find_first_of("*?[");
  const size_t slash = glob.rfind('/', first);
  const size_t begin = slash == std::string::npos ? 0 : slash + 1;
  const std::string base = begin == 0 ? "" : begin == 1 ? "/" : glob.substr(0, begin - 1);
  std::vector<std::string> found;
  TORII_RETURN_IF_ERROR(Expand(files, base, std::string_view(glob).substr(begin), &found));
  return found;
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

absl::StatusOr<InputFile> Describe(FileSystem& files, const std::string& path, Format format) {
  InputFile input{.path = path, .format = format, .compression = Compression::kNone};
  std::string name = Lower(BaseName(path));
  for (const Suffix& suffix : kCompressed) {
    if (name.ends_with(suffix.text)) {
      input.compression = suffix.compression;
      name.resize(name.size() - suffix.text.size());
      break;
    }
  }
  if (format == AUTO) {
    if (name.ends_with(".csv")) {
      input.format = CSV;
    } else if (name.ends_with(".tsv") || name.ends_with(".txt")) {
      input.format = TSV;
    } else if (name.ends_with(".parquet") || name.ends_with(".pq")) {
      input.format = PARQUET;
    } else {
      TORII_ASSIGN_OR_RETURN(const bool parquet, StartsLikeParquet(files, path));
      if (!parquet) {
        return DataError(absl::StrCat(path,
                                      ": the name does not tell the format (.parquet, .csv, .tsv, "
                                      ".txt); set `format: CSV`, TSV or PARQUET"));
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
  return input;
}

absl::Status MissingFile(FileSystem& files, const std::string& path, const std::string& field) {
  std::string hint;
  const std::string folder = ParentPath(path);
  if (const auto names = files.List(folder.empty() ? "." : folder); names.ok()) {
    hint = DidYouMean(BaseName(path), *names);
  }
  return NoInputError(absl::StrCat(path, ": no such file", hint, " (", field, ")"));
}

}  // namespace

bool MatchesGlob(std::string_view name, std::string_view pattern) {
  if (pattern.empty()) {
    return name.empty();
  }
  if (pattern[0] == '*') {
    for (size_t skip = 0;; ++skip) {
      if (MatchesGlob(name.substr(skip), pattern.substr(1))) {
        return true;
      }
      if (skip == name.size() || name[skip] == '/') {
        return false;
      }
    }
  }
  if (name.empty() || (name[0] == '/' && pattern[0] != '/')) {
    return false;
  }
  if (pattern[0] == '?') {
    return MatchesGlob(name.substr(1), pattern.substr(1));
  }
  if (pattern[0] == '[') {
    size_t length = 0;
    const bool matches = MatchesClass(name[0], pattern, &length);
    if (length > 0) {
      return matches && MatchesGlob(name.substr(1), pattern.substr(length));
    }
  }
  return name[0] == pattern[0] && MatchesGlob(name.substr(1), pattern.substr(1));
}

absl::StatusOr<std::vector<InputFile>> FindInputFiles(FileSystem& files,
                                                      std::span<const std::string> paths,
                                                      Format format, const std::string& field) {
  std::vector<InputFile> inputs;
  for (const std::string& path : paths) {
    std::vector<std::string> found = {path};
    TORII_ASSIGN_OR_RETURN(const FileInfo as_is, files.Info(path));
    if (!as_is.exists && HasGlob(path)) {
      TORII_ASSIGN_OR_RETURN(found, ExpandGlob(files, path));
      if (found.empty()) {
        return NoInputError(absl::StrCat(path, ": no file matches (", field, ")"));
      }
    }
    for (const std::string& file : found) {
      TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(file));
      if (!info.exists) {
        return MissingFile(files, file, field);
      }
      if (info.is_directory) {
        return NoInputError(absl::StrCat(file, ": is a folder; name its files, for example \"",
                                         JoinPath(file, "*.parquet"), "\" (", field, ")"));
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
