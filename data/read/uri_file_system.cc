#include "data/read/uri_file_system.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/config.h"
#include "arrow/filesystem/filesystem.h"
#include "arrow/io/interfaces.h"
#include "arrow/result.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr char kFileScheme[] = "file://";
constexpr int kRetrySeconds = 30;

absl::Status UriError(const std::string& path, const std::string& what,
                      const arrow::Status& status) {
  return IoError(absl::StrCat(path, ": ", what, ": ", status.message()));
}

class RemoteFile final : public ReadableFile {
 public:
  RemoteFile(std::shared_ptr<arrow::io::RandomAccessFile> file, int64_t size, std::string path)
      : file_(std::move(file)), size_(size), path_(std::move(path)) {}
  int64_t size() const override { return size_; }
  absl::Status ReadAt(int64_t offset, int64_t size, void* out) const override {
    const arrow::Result<int64_t> got = file_->ReadAt(offset, size, out);
    if (!got.ok()) {
      return UriError(path_, "read failed", got.status());
    }
    if (*got != size) {
      return IoError(
          absl::StrCat(path_, ": truncated: ", *got, " of ", size, " bytes at offset ", offset));
    }
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  int64_t size_;
  std::string path_;
};

class HeapFile final : public MappedFile {
 public:
  explicit HeapFile(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  const std::byte* data() const override { return bytes_.data(); }
  int64_t size() const override { return static_cast<int64_t>(bytes_.size()); }

 private:
  std::vector<std::byte> bytes_;
};

struct Remote {
  std::shared_ptr<arrow::fs::FileSystem> system;
  std::string path;  // inside the system
};

// The folder of the Arrow library of this process.
std::string ArrowFolder() {
  const std::string name = absl::StrCat("libarrow.so.", arrow::GetBuildInfo().so_version);
  void* const library = ::dlopen(name.c_str(), RTLD_NOLOAD | RTLD_NOW);
  char folder[PATH_MAX] = "";
  if (library != nullptr) {
    ::dlinfo(library, RTLD_DI_ORIGIN, folder);
    ::dlclose(library);
  }
  return folder;
}

// Arrow's S3 lies in a library of its own, which is loaded once, when the first s3:// comes.
absl::Status LoadS3() {
  static const absl::Status loaded = []() -> absl::Status {
    const std::string path =
        JoinPath(ArrowFolder(), absl::StrCat("libarrow_s3.so.", arrow::GetBuildInfo().so_version));
    if (const arrow::Status status = arrow::fs::LoadFileSystemFactories(path.c_str());
        !status.ok()) {
      return IoError(absl::StrCat("this installation cannot read s3:// (", status.message(),
                                  "); copy the files here and name the copies"));
    }
    return absl::OkStatus();
  }();
  return loaded;
}

// Called after the library was used: it must be closed before its own constants are destroyed.
void CloseS3AtExit() {
  [[maybe_unused]] static const int registered = std::atexit([] { arrow::fs::EnsureFinalized(); });
}

// The URI with a limit for Google's library, which else tries for 15 minutes and says nothing.
std::string WithRetryLimit(const std::string& uri) {
  const bool google = uri.starts_with("gs://") || uri.starts_with("gcs://");
  if (!google || uri.find("retry_limit_seconds=") != std::string::npos) {
    return uri;
  }
  return absl::StrCat(uri, uri.find('?') == std::string::npos ? "?" : "&",
                      "retry_limit_seconds=", kRetrySeconds);
}

absl::StatusOr<Remote> Resolve(const std::string& uri) {
  if (uri.starts_with("s3://")) {
    TORII_RETURN_IF_ERROR(Annotate(LoadS3(), uri));
  }
  Remote remote;
  arrow::Result<std::shared_ptr<arrow::fs::FileSystem>> system =
      arrow::fs::FileSystemFromUri(WithRetryLimit(uri), &remote.path);
  if (uri.starts_with("s3://")) {
    CloseS3AtExit();
  }
  if (!system.ok()) {
    return UriError(uri, "cannot be opened", system.status());
  }
  remote.system = *std::move(system);
  return remote;
}

std::string LocalPath(const std::string& path) {
  return path.starts_with(kFileScheme) ? path.substr(sizeof(kFileScheme) - 1) : path;
}

bool IsRemote(const std::string& path) { return IsUri(path) && !path.starts_with(kFileScheme); }

absl::Status ReadOnly(const std::string& path) {
  return CannotCreateError(
      absl::StrCat(path, ": remote files can only be read; write to a local folder"));
}

class UriFileSystem final : public FileSystem {
 public:
  explicit UriFileSystem(FileSystem& local) : local_(local) {}

  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) override {
    if (!IsRemote(path)) {
      return local_.OpenForReading(LocalPath(path));
    }
    TORII_ASSIGN_OR_RETURN(const Remote remote, Resolve(path));
    auto file = remote.system->OpenInputFile(remote.path);
    if (!file.ok()) {
      return UriError(path, "cannot be opened", file.status());
    }
    const arrow::Result<int64_t> size = (*file)->GetSize();
    if (!size.ok()) {
      return UriError(path, "size unknown", size.status());
    }
    return std::make_unique<RemoteFile>(*std::move(file), *size, path);
  }
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(const std::string& path) override {
    if (!IsRemote(path)) {
      return local_.Map(LocalPath(path));
    }
    TORII_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, OpenForReading(path));
    std::vector<std::byte> bytes(static_cast<size_t>(file->size()));
    TORII_RETURN_IF_ERROR(file->ReadAt(0, file->size(), bytes.data()));
    return std::make_shared<HeapFile>(std::move(bytes));
  }
  absl::StatusOr<FileInfo> Info(const std::string& path) override {
    if (!IsRemote(path)) {
      return local_.Info(LocalPath(path));
    }
    TORII_ASSIGN_OR_RETURN(const Remote remote, Resolve(path));
    const auto found = remote.system->GetFileInfo(remote.path);
    if (!found.ok()) {
      return UriError(path, "cannot be looked up", found.status());
    }
    FileInfo info;
    info.exists = found->type() != arrow::fs::FileType::NotFound;
    info.is_directory = found->type() == arrow::fs::FileType::Directory;
    info.size = std::max<int64_t>(0, found->size());
    info.modified_ns = found->mtime().time_since_epoch().count();
    return info;
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    if (!IsRemote(directory)) {
      return local_.List(LocalPath(directory));
    }
    TORII_ASSIGN_OR_RETURN(const Remote remote, Resolve(directory));
    arrow::fs::FileSelector selector;
    selector.base_dir = remote.path;
    const auto found = remote.system->GetFileInfo(selector);
    if (!found.ok()) {
      return UriError(directory, "cannot be listed", found.status());
    }
    std::vector<std::string> names;
    for (const arrow::fs::FileInfo& info : *found) {
      names.push_back(info.base_name());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return IsRemote(path) ? ReadOnly(path) : local_.Create(LocalPath(path));
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppending(const std::string& path) override {
    return IsRemote(path) ? ReadOnly(path) : local_.OpenForAppending(LocalPath(path));
  }
  absl::Status MakeDirectories(const std::string& path) override {
    return IsRemote(path) ? ReadOnly(path) : local_.MakeDirectories(LocalPath(path));
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return IsRemote(to) || IsRemote(from) ? ReadOnly(to)
                                          : local_.Rename(LocalPath(from), LocalPath(to));
  }
  absl::Status RemoveAll(const std::string& path) override {
    return IsRemote(path) ? ReadOnly(path) : local_.RemoveAll(LocalPath(path));
  }
  absl::StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path) override {
    if (IsRemote(path)) return ReadOnly(path);
    return local_.TryLock(LocalPath(path));
  }
  absl::StatusOr<bool> Exchange(const std::string& a, const std::string& b) override {
    if (IsRemote(a) || IsRemote(b)) return ReadOnly(b);
    return local_.Exchange(LocalPath(a), LocalPath(b));
  }
  absl::StatusOr<std::string> RealPath(const std::string& path) override {
    if (IsRemote(path)) return path;
    return local_.RealPath(LocalPath(path));
  }

 private:
  FileSystem& local_;
};

}  // namespace

bool IsUri(const std::string& path) {
  const size_t colon = path.find("://");
  return colon != std::string::npos && colon > 0 && path.find('/') == colon + 1;
}

std::unique_ptr<FileSystem> OpenUriFileSystem(FileSystem& local) {
  return std::make_unique<UriFileSystem>(local);
}

}  // namespace torii::data
