#include "data/read/glob.h"

#include <algorithm>

#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr std::string_view kAnyDepth = "**";

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

// The names in a folder, sorted; none if there is no such folder.
absl::StatusOr<std::vector<std::string>> NamesIn(FileSystem& files, const std::string& base) {
  const std::string folder = base.empty() ? "." : base;
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(folder));
  if (!info.exists || !info.is_directory) {
    return std::vector<std::string>();
  }
  TORII_ASSIGN_OR_RETURN(std::vector<std::string> names, files.List(folder));
  std::sort(names.begin(), names.end());
  return names;
}

std::string Below(const std::string& base, const std::string& name) {
  return base.empty() ? name : JoinPath(base, name);
}

absl::Status Expand(FileSystem& files, const std::string& base, std::string_view pattern,
                    std::vector<std::string>* found);

// `rest` matched in `base` and in every folder below it.
absl::Status ExpandAnyDepth(FileSystem& files, const std::string& base, std::string_view rest,
                            std::vector<std::string>* found) {
  TORII_RETURN_IF_ERROR(Expand(files, base, rest.empty() ? "*" : rest, found));
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(files, base));
  for (const std::string& name : names) {
    const std::string path = Below(base, name);
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
    if (info.exists && info.is_directory && name[0] != '.') {
      TORII_RETURN_IF_ERROR(ExpandAnyDepth(files, path, rest, found));
    }
  }
  return absl::OkStatus();
}

// The files that match `pattern`, whose first component is looked for in `base`.
absl::Status Expand(FileSystem& files, const std::string& base, std::string_view pattern,
                    std::vector<std::string>* found) {
  const size_t slash = pattern.find('/');
  const std::string_view head = pattern.substr(0, slash);
  const std::string_view rest =
      slash == std::string_view::npos ? std::string_view() : pattern.substr(slash + 1);
  if (head == kAnyDepth) {
    return ExpandAnyDepth(files, base, rest, found);
  }
  std::vector<std::string> names = {std::string(head)};
  if (HasGlob(head)) {
    TORII_ASSIGN_OR_RETURN(names, NamesIn(files, base));
  }
  for (const std::string& name : names) {
    if (HasGlob(head) && (!MatchesGlob(name, head) || (name[0] == '.' && head[0] != '.'))) {
      continue;
    }
    const std::string path = Below(base, name);
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
    if (!rest.empty() && info.exists && info.is_directory) {
      TORII_RETURN_IF_ERROR(Expand(files, path, rest, found));
    } else if (rest.empty() && info.exists && !info.is_directory) {
      found->push_back(path);
    }
  }
  return absl::OkStatus();
}

absl::Status AddDataFiles(FileSystem& files, const std::string& folder,
                          std::vector<std::string>* found) {
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(files, folder));
  for (const std::string& name : names) {
    if (name[0] == '.' || name[0] == '_') {
      continue;
    }
    const std::string path = Below(folder, name);
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
    if (info.exists && info.is_directory) {
      TORII_RETURN_IF_ERROR(AddDataFiles(files, path, found));
    } else {
      found->push_back(path);
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool HasGlob(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

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

absl::StatusOr<std::vector<std::string>> DataFilesBelow(FileSystem& files,
                                                        const std::string& folder) {
  std::vector<std::string> found;
  TORII_RETURN_IF_ERROR(AddDataFiles(files, folder, &found));
  return found;
}

}  // namespace torii::data
