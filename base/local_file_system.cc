// LocalFiles(): the local disk through POSIX calls.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/file_system.h"
#include "base/status_macros.h"

namespace torii {
namespace {

// What a call wants of its path; decides which kind an error is.
enum class Purpose { kRead, kCreate, kOther };

std::string Describe(const char* operation, const std::string& path, int error) {
  return absl::StrCat(operation, " ", path, ": ", std::strerror(error),
                      error == ENOSPC || error == EDQUOT ? " (disk full)" : "");
}

absl::Status FileError(const char* operation, const std::string& path, Purpose purpose, int error) {
  const std::string message = Describe(operation, path, error);
  if (purpose == Purpose::kRead && (error == ENOENT || error == ENOTDIR)) {
    return NoInputError(message);
  }
  if (purpose == Purpose::kCreate) {
    for (const int cannot : {EACCES, EPERM, EROFS, ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY}) {
      if (error == cannot) return CannotCreateError(message);
    }
  }
  return IoError(message);
}

// Repeats a call that a signal interrupted.
template <typename Call>
auto RetryInterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { (void)Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int fd() const { return fd_; }
  // The errno of close, or 0. An interrupted close has closed on Linux.
  int Close() {
    const int fd = std::exchange(fd_, -1);
    return fd >= 0 && ::close(fd) != 0 && errno != EINTR ? errno : 0;
  }

 private:
  int fd_;
};

struct OpenInput {
  Descriptor descriptor;
  int64_t size = 0;
};

// O_NONBLOCK: opening a pipe that nobody writes to must fail, not wait.
absl::StatusOr<OpenInput> OpenRegularFile(const std::string& path) {
  Descriptor descriptor(RetryInterrupted(
      [&path] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  if (descriptor.fd() < 0) return FileError("open", path, Purpose::kRead, errno);
  struct stat info{};
  if (::fstat(descriptor.fd(), &info) != 0) return FileError("stat", path, Purpose::kRead, errno);
  if (!S_ISREG(info.st_mode)) return IoError(absl::StrCat("open ", path, ": not a regular file"));
  return OpenInput{std::move(descriptor), info.st_size};
}

class LocalReadableFile final : public ReadableFile {
 public:
  LocalReadableFile(std::string path, OpenInput input)
      : path_(std::move(path)), input_(std::move(input)) {}
  int64_t size() const override { return input_.size; }
  absl::Status ReadAt(int64_t offset, int64_t size, void* out) const override {
    int64_t done = 0;
    while (done < size) {
      const ssize_t n = RetryInterrupted([&] {
        return ::pread(input_.descriptor.fd(), static_cast<char*>(out) + done,
                       static_cast<size_t>(size - done), offset + done);
      });
      if (n < 0) return FileError("read", path_, Purpose::kRead, errno);
      if (n == 0) {
        return IoError(absl::StrCat("read ", path_, ": truncated: wanted ", size,
                                    " bytes at offset ", offset, ", found ", done));
      }
      done += n;
    }
    return absl::OkStatus();
  }

 private:
  std::string path_;
  OpenInput input_;
};

// After a failure every later call fails alike: a second fsync may succeed although data was lost.
class LocalWritableFile final : public WritableFile {
 public:
  LocalWritableFile(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}
  absl::Status Append(const void* data, int64_t size) override {
    TORII_RETURN_IF_ERROR(failure_);
    int64_t done = 0;
    while (done < size) {
      const ssize_t n = RetryInterrupted([&] {
        return ::write(descriptor_.fd(), static_cast<const char*>(data) + done,
                       static_cast<size_t>(size - done));
      });
      if (n < 0) return Fail("write", errno);
      done += n;
    }
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    TORII_RETURN_IF_ERROR(failure_);
    if (RetryInterrupted([this] { return ::fsync(descriptor_.fd()); }) != 0) {
      return Fail("fsync", errno);
    }
    return absl::OkStatus();
  }
  absl::Status Close() override {
    const int error = descriptor_.Close();
    TORII_RETURN_IF_ERROR(failure_);
    return error == 0 ? absl::OkStatus() : Fail("close", error);
  }

 private:
  absl::Status Fail(const char* operation, int error) {
    return failure_ = FileError(operation, path_, Purpose::kOther, error);
  }

  std::string path_;
  Descriptor descriptor_;
  absl::Status failure_;
};

class LocalMappedFile final : public MappedFile {
 public:
  LocalMappedFile(void* data, int64_t size) : data_(data), size_(size) {}
  ~LocalMappedFile() override {
    if (data_ != nullptr) ::munmap(data_, static_cast<size_t>(size_));
  }
  LocalMappedFile(const LocalMappedFile&) = delete;
  LocalMappedFile& operator=(const LocalMappedFile&) = delete;
  const std::byte* data() const override { return static_cast<const std::byte*>(data_); }
  int64_t size() const override { return size_; }

 private:
  void* data_;
  int64_t size_;
};

absl::Status SyncDirectory(const std::string& path) {
  const Descriptor directory(RetryInterrupted(
      [&path] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY); }));
  if (directory.fd() < 0) return FileError("open", path, Purpose::kOther, errno);
  // EINVAL: a file system that has nothing to sync for a directory.
  if (RetryInterrupted([&directory] { return ::fsync(directory.fd()); }) != 0 && errno != EINVAL) {
    return FileError("fsync", path, Purpose::kOther, errno);
  }
  return absl::OkStatus();
}

// Through a symbolic link only where that is no file: /dev/stdout is one. What else is linked from a
// folder of ours, somebody put there.
absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWriting(const std::string& path, int flag) {
  const auto open = [&](int follow) {
    return RetryInterrupted(
        [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flag | follow, 0666); });
  };
  Descriptor descriptor(open(O_NOFOLLOW));
  if (descriptor.fd() < 0 && errno == ELOOP) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) {
      return CannotCreateError(
          absl::StrCat("create ", path, ": is a symbolic link, which is not written through"));
    }
    Descriptor followed(open(0));
    if (followed.fd() < 0) return FileError("create", path, Purpose::kCreate, errno);
    return std::make_unique<LocalWritableFile>(path, std::move(followed));
  }
  if (descriptor.fd() < 0) return FileError("create", path, Purpose::kCreate, errno);
  return std::make_unique<LocalWritableFile>(path, std::move(descriptor));
}

class LocalFileLock final : public FileLock {
 public:
  LocalFileLock(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}
  // Removed while it is locked: nobody else has taken it.
  ~LocalFileLock() override { ::unlink(path_.c_str()); }

 private:
  std::string path_;
  Descriptor descriptor_;
};

// Whether `path` still names the open file: its last holder may have removed it in the meantime.
bool Names(const std::string& path, int fd) {
  struct stat opened{}, named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

class LocalFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) override {
    TORII_ASSIGN_OR_RETURN(OpenInput input, OpenRegularFile(path));
    return std::make_unique<LocalReadableFile>(path, std::move(input));
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return OpenForWriting(path, O_TRUNC);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppending(const std::string& path) override {
    return OpenForWriting(path, O_APPEND);
  }
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(const std::string& path) override;
  absl::StatusOr<FileInfo> Info(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  absl::Status MakeDirectories(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveAll(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path) override;
  absl::StatusOr<bool> Exchange(const std::string& a, const std::string& b) override;
  absl::StatusOr<std::string> RealPath(const std::string& path) override;
};

absl::StatusOr<std::shared_ptr<MappedFile>> LocalFileSystem::Map(const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const OpenInput input, OpenRegularFile(path));
  void* data = nullptr;
  if (input.size > 0) {
    data = ::mmap(nullptr, static_cast<size_t>(input.size), PROT_READ, MAP_SHARED,
                  input.descriptor.fd(), 0);
    if (data == MAP_FAILED) return FileError("map", path, Purpose::kOther, errno);
  }
  return std::make_shared<LocalMappedFile>(data, input.size);
}

absl::StatusOr<FileInfo> LocalFileSystem::Info(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return FileInfo{};
    return FileError("stat", path, Purpose::kOther, errno);
  }
  return FileInfo{
      .exists = true,
      .is_directory = S_ISDIR(info.st_mode),
      .size = info.st_size,
      .modified_ns = info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec};
}

absl::StatusOr<std::vector<std::string>> LocalFileSystem::List(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), &::closedir);
  if (stream == nullptr) return FileError("list", directory, Purpose::kRead, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) return FileError("list", directory, Purpose::kRead, errno);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status LocalFileSystem::MakeDirectories(const std::string& path) {
  const auto make = [&path] { return ::mkdir(path.c_str(), 0777) == 0 ? 0 : errno; };
  int error = make();
  const std::string parent = ParentPath(path);
  if (error == ENOENT && !path.empty() && parent != path) {
    TORII_RETURN_IF_ERROR(MakeDirectories(parent));
    error = make();
  }
  if (error == 0) return SyncDirectory(parent);
  // It may have been there, or another rank may have made it in the meantime.
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
  return FileError("make directory", path, Purpose::kCreate, error);
}

absl::Status LocalFileSystem::Rename(const std::string& from, const std::string& to) {
  struct stat info{};
  if (::stat(from.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    TORII_RETURN_IF_ERROR(SyncDirectory(from));
  }
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return FileError("rename", absl::StrCat(from, " to ", to), Purpose::kCreate, errno);
  }
  TORII_RETURN_IF_ERROR(SyncDirectory(ParentPath(to)));
  if (ParentPath(from) == ParentPath(to)) return absl::OkStatus();
  return SyncDirectory(ParentPath(from));
}

absl::StatusOr<std::unique_ptr<FileLock>> LocalFileSystem::TryLock(const std::string& path) {
  for (;;) {
    Descriptor file(RetryInterrupted(
        [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666); }));
    if (file.fd() < 0) return FileError("create", path, Purpose::kCreate, errno);
    if (RetryInterrupted([&] { return ::flock(file.fd(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return nullptr;
      return FileError("lock", path, Purpose::kOther, errno);
    }
    if (Names(path, file.fd())) return std::make_unique<LocalFileLock>(path, std::move(file));
  }
}

absl::StatusOr<bool> LocalFileSystem::Exchange(const std::string& a, const std::string& b) {
  for (const std::string& path : {a, b}) {
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      TORII_RETURN_IF_ERROR(SyncDirectory(path));
    }
  }
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0) {
    if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP) return false;
    return FileError("exchange", absl::StrCat(a, " and ", b), Purpose::kCreate, errno);
  }
  for (const std::string& parent : {ParentPath(a), ParentPath(b)}) {
    TORII_RETURN_IF_ERROR(SyncDirectory(parent));
  }
  return true;
}

absl::StatusOr<std::string> LocalFileSystem::RealPath(const std::string& path) {
  constexpr int kMostLinks = 40;
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(fs::absolute(path, error), error);
  // A link whose target is not there counts as missing above: its target is what is meant.
  for (int links = 0; !error && fs::is_symlink(fs::symlink_status(resolved)); ++links) {
    if (links == kMostLinks) error = std::make_error_code(std::errc::too_many_symbolic_link_levels);
    if (error) break;
    const fs::path target = fs::read_symlink(resolved, error);
    if (!error) resolved = fs::weakly_canonical(resolved.parent_path() / target, error);
  }
  if (error) return FileError("follow", path, Purpose::kOther, error.value());
  std::string text = resolved.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

absl::Status LocalFileSystem::RemoveAll(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error == std::errc::not_a_directory) return absl::OkStatus();  // nothing is below a file
  return error ? FileError("remove", path, Purpose::kOther, error.value()) : absl::OkStatus();
}

}  // namespace

FileSystem& LocalFiles() {
  static LocalFileSystem* const files = new LocalFileSystem;
  return *files;
}

}  // namespace torii
