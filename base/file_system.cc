// What works on any FileSystem: whole files and path names.
#include "base/file_system.h"

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii {
namespace {

absl::Status WriteAndSync(FileSystem& files, const std::string& path, std::string_view content) {
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files.Create(path));
  TORII_RETURN_IF_ERROR(file->Append(content));
  TORII_FAILPOINT("file.atomic.before_sync");
  TORII_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::Status WriteAndRename(FileSystem& files, const std::string& temporary,
                            const std::string& path, std::string_view content) {
  TORII_RETURN_IF_ERROR(WriteAndSync(files, temporary, content));
  TORII_FAILPOINT("file.atomic.before_rename");
  return files.Rename(temporary, path);
}

std::string_view WithoutTrailingSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.OpenForReading(path));
  std::string content(static_cast<size_t>(file->size()), '\0');
  TORII_RETURN_IF_ERROR(file->ReadAt(0, file->size(), content.data()));
  return content;
}

absl::Status WriteFileAtomically(FileSystem& files, const std::string& path,
                                 std::string_view content) {
  // A fixed name: what a killed process leaves behind is overwritten by the next attempt.
  const std::string temporary = path + ".tmp";
  absl::Status status = WriteAndRename(files, temporary, path, content);
  // The first error is the one to tell; removing is a courtesy.
  if (!status.ok()) (void)files.RemoveAll(temporary);
  return status;
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (name.empty()) return std::string(directory);
  if (directory.empty() || name.front() == '/') return std::string(name);
  std::string path(directory);
  if (path.back() != '/') path += '/';
  return path.append(name);
}

std::string ParentPath(std::string_view path) {
  path = WithoutTrailingSlashes(path);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(WithoutTrailingSlashes(path.substr(0, slash + 1)));
}

std::string BaseName(std::string_view path) {
  path = WithoutTrailingSlashes(path);
  if (path == "/") return "/";
  return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace torii
