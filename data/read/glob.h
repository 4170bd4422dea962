// Which files a pattern such as "logs/**/part-*.parquet" names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"

namespace torii::data {

// Whether `text` has a character with a meaning in a pattern.
bool HasGlob(std::string_view text);

// Whether `name` matches a pattern with * (any run), ? (one character) and [a-z] or [!a-z]. None of
// them matches '/'.
bool MatchesGlob(std::string_view name, std::string_view pattern);

// The files that `glob` names, folder by folder in the order of their names. The component ** means
// any number of folders, none too. Names that begin with '.' match only a pattern that does.
absl::StatusOr<std::vector<std::string>> ExpandGlob(FileSystem& files, const std::string& glob);

// The files in `folder` and in the folders below it, in the order of their names. Names that begin
// with '.' or '_' (_SUCCESS, _temporary, .part.crc) are left out.
absl::StatusOr<std::vector<std::string>> DataFilesBelow(FileSystem& files,
                                                        const std::string& folder);

}  // namespace torii::data
