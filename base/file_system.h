// The one seam through which Torii reads and writes files. LocalFileSystem is the real one;
// FaultFileSystem (fault_file_system.h) is its fault-injecting twin; data/read/uri_file_system.h
// puts Arrow's remote file systems behind the same interface.
//
// Errors are kNoInput (missing), kCannotCreate (cannot create), kIo (everything else), and every
// message names the path and the operation. All methods may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace torii {

// A file opened for reading at any offset. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual int64_t size() const = 0;
  // Reads exactly `size` bytes at `offset` into `out`; fewer is an error ("truncated").
  virtual absl::Status ReadAt(int64_t offset, int64_t size, void* out) const = 0;
};

// A file that is written from its beginning. Not thread-safe. Without Close its content is
// undefined.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual absl::Status Append(const void* data, int64_t size) = 0;
  // Makes everything appended so far durable (fsync).
  virtual absl::Status Sync() = 0;
  virtual absl::Status Close() = 0;
  absl::Status Append(std::string_view text) {
    return Append(text.data(), static_cast<int64_t>(text.size()));
  }
};

// A read-only view of a whole file; its pages are shared with every process that maps it. size()
// may be 0.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual const std::byte* data() const = 0;
  virtual int64_t size() const = 0;
};

struct FileInfo {
  bool exists = false;
  bool is_directory = false;
  int64_t size = 0;
  int64_t modified_ns = 0;  // modification time, nanoseconds since 1970
};

// A lock that the operating system keeps for an open file: held while the object lives, and given
// back when the process ends, however it ends. Several machines see it if their file system tells
// them (NFS does, if so mounted).
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) = 0;
  // Creates or truncates.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;
  // Opens for appending, creates if missing.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppending(
      const std::string& path) = 0;
  virtual absl::StatusOr<std::shared_ptr<MappedFile>> Map(const std::string& path) = 0;
  // A missing path is no error: it has exists = false.
  virtual absl::StatusOr<FileInfo> Info(const std::string& path) = 0;
  // Names (not paths) in a directory, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& directory) = 0;
  // Like mkdir -p.
  virtual absl::Status MakeDirectories(const std::string& path) = 0;
  // Replaces `to` atomically and makes the rename durable (fsync of the parent and, when `from` is
  // a directory, of its entries).
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // A missing path is not an error. A symbolic link is removed, not what it points to.
  virtual absl::Status RemoveAll(const std::string& path) = 0;

  // Locks the file `path`, which is made if it is missing and removed with the lock. nullptr:
  // somebody else has the lock. kIo: this file system has no locks.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path) = 0;
  // Swaps what two paths name, in one step that is durable. false: this file system cannot.
  virtual absl::StatusOr<bool> Exchange(const std::string& a, const std::string& b) = 0;
  // The absolute path without symbolic links, also where its last parts are not there.
  virtual absl::StatusOr<std::string> RealPath(const std::string& path) = 0;
};

// The local disk.
FileSystem& LocalFiles();

// Whole-file conveniences on top of any FileSystem.
absl::StatusOr<std::string> ReadFile(FileSystem& files, const std::string& path);
// Writes `path` + ".tmp", syncs, renames: readers see the old or the new content, also after a
// power cut. One writer a path at a time.
absl::Status WriteFileAtomically(FileSystem& files, const std::string& path,
                                 std::string_view content);

// "a" + "b" -> "a/b"; "a" + "/b" -> "/b"; "a" + "" -> "a".
std::string JoinPath(std::string_view directory, std::string_view name);
// "a/b" -> "a", "a" -> ".", "/a" -> "/", as dirname; BaseName is the other half. Trailing slashes
// are ignored.
std::string ParentPath(std::string_view path);
std::string BaseName(std::string_view path);

}  // namespace torii
