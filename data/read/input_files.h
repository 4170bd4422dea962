// Which files a configuration names: globs expanded, formats and compression told.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"

namespace torii::data {

enum class Compression { kNone, kGzip, kZstd, kBzip2, kLz4, kBrotli };

struct InputFile {
  std::string path;
  Format format = PARQUET;                       // never AUTO
  Compression compression = Compression::kNone;  // of the whole file; Parquet compresses inside
};

// Whether `name` matches a pattern with * (any run), ? (one character) and [a-z] or [!a-z]. None of
// them matches '/'.
bool MatchesGlob(std::string_view name, std::string_view pattern);

// The files of `paths` in order; the files of one glob are sorted by name. Messages call the paths
// `field` ("data.interactions.path"). Errors: kNoInput for a missing file or a glob without
// matches, kData for an empty file or a format that cannot be told.
absl::StatusOr<std::vector<InputFile>> FindInputFiles(FileSystem& files,
                                                      std::span<const std::string> paths,
                                                      Format format, const std::string& field);

}  // namespace torii::data
