#include "base/files/fault_file_system.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii {
namespace {

// What a power cut would leave of a file written through this file system.
struct Durability {
  int64_t written = 0;
  int64_t synced = 0;
  bool entry_durable = false;
};

enum class CallKind { kMutation, kRead };

// Counts the calls and decides which of them fail. Thread-safe.
class FaultPlan {
 public:
  FaultPlan(FileFault fault, int64_t at) : fault_(fault), at_(at) {}

  // The fault to inject into this call: kNone for a call that works.
  FileFault Next(CallKind kind) {
    const std::lock_guard lock(mutex_);
    if (dead_) return FileFault::kPowerCut;
    const bool counted =
        kind == (fault_ == FileFault::kShortRead ? CallKind::kRead : CallKind::kMutation);
    if (!counted || calls_++ != at_) return FileFault::kNone;
    dead_ = fault_ == FileFault::kShortWrite || fault_ == FileFault::kPowerCut;
    return fault_;
  }
  // Calls that are not counted still fail after the process "died".
  absl::Status CheckAlive(const char* operation, const std::string& path) const {
    const std::lock_guard lock(mutex_);
    return dead_ ? Failure(FileFault::kPowerCut, operation, path) : absl::OkStatus();
  }
  int64_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  static absl::Status Failure(FileFault fault, const char* operation, const std::string& path) {
    const char* reason = "Input/output error";
    if (fault == FileFault::kDiskFull) reason = "No space left on device (disk full)";
    if (fault == FileFault::kShortRead) reason = "truncated";
    return IoError(absl::StrCat(operation, " ", path, ": ", reason, " (injected)"));
  }

 private:
  const FileFault fault_;
  const int64_t at_;
  mutable std::mutex mutex_;
  int64_t calls_ = 0;
  bool dead_ = false;
};

class FaultReadableFile final : public ReadableFile {
 public:
  FaultReadableFile(std::string path, std::unique_ptr<ReadableFile> file, FaultPlan& plan)
      : path_(std::move(path)), file_(std::move(file)), plan_(plan) {}
  int64_t size() const override { return file_->size(); }
  absl::Status ReadAt(int64_t offset, int64_t size, void* out) const override {
    const FileFault fault = plan_.Next(CallKind::kRead);
    if (fault == FileFault::kNone) return file_->ReadAt(offset, size, out);
    if (fault == FileFault::kShortRead) {
      TORII_RETURN_IF_ERROR(file_->ReadAt(offset, size / 2, out));
    }
    return FaultPlan::Failure(fault, "read", path_);
  }

 private:
  std::string path_;
  std::unique_ptr<ReadableFile> file_;
  FaultPlan& plan_;
};

class FaultWritableFile final : public WritableFile {
 public:
  FaultWritableFile(std::string path, std::unique_ptr<WritableFile> file,
                    std::shared_ptr<Durability> durability, FaultPlan& plan)
      : path_(std::move(path)),
        file_(std::move(file)),
        durability_(std::move(durability)),
        plan_(plan) {}
  absl::Status Append(const void* data, int64_t size) override {
    const FileFault fault = plan_.Next(CallKind::kMutation);
    const bool half = fault == FileFault::kDiskFull || fault == FileFault::kShortWrite;
    if (fault == FileFault::kNone || half) {
      const int64_t accepted = half ? size / 2 : size;
      TORII_RETURN_IF_ERROR(file_->Append(data, accepted));
      durability_->written += accepted;
    }
    return Result(fault, "write");
  }
  absl::Status Sync() override {
    const FileFault fault = plan_.Next(CallKind::kMutation);
    if (fault == FileFault::kNone) {
      TORII_RETURN_IF_ERROR(file_->Sync());
      durability_->synced = durability_->written;
    }
    return Result(fault, "fsync");
  }
  absl::Status Close() override {
    const FileFault fault = plan_.Next(CallKind::kMutation);
    // The real descriptor closes in any case, as it does under a failing close.
    TORII_RETURN_IF_ERROR(file_->Close());
    return Result(fault, "close");
  }

 private:
  absl::Status Result(FileFault fault, const char* operation) const {
    return fault == FileFault::kNone ? absl::OkStatus()
                                     : FaultPlan::Failure(fault, operation, path_);
  }

  std::string path_;
  std::unique_ptr<WritableFile> file_;
  // Shared with the file system: the file may be renamed while it is open.
  std::shared_ptr<Durability> durability_;
  FaultPlan& plan_;
};

// The first half of a file, as a reader of a truncated file would map it.
class HalfMappedFile final : public MappedFile {
 public:
  explicit HalfMappedFile(std::shared_ptr<MappedFile> whole) : whole_(std::move(whole)) {}
  const std::byte* data() const override { return whole_->data(); }
  int64_t size() const override { return whole_->size() / 2; }

 private:
  std::shared_ptr<MappedFile> whole_;  // shared as the interface hands it out
};

class FaultFileSystemOnBase final : public FaultFileSystem {
 public:
  FaultFileSystemOnBase(FileSystem& base, FileFault fault, int64_t at)
      : base_(base), plan_(fault, at) {}

  int64_t calls() const override { return plan_.calls(); }
  absl::Status DropUnsynced() override;

  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) override {
    TORII_RETURN_IF_ERROR(plan_.CheckAlive("open", path));
    TORII_ASSIGN_OR_RETURN(std::unique_ptr<ReadableFile> file, base_.OpenForReading(path));
    return std::make_unique<FaultReadableFile>(path, std::move(file), plan_);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppending(const std::string& path) override;
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(const std::string& path) override;
  absl::StatusOr<FileInfo> Info(const std::string& path) override {
    TORII_RETURN_IF_ERROR(plan_.CheckAlive("stat", path));
    return base_.Info(path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    TORII_RETURN_IF_ERROR(plan_.CheckAlive("list", directory));
    return base_.List(directory);
  }
  absl::Status MakeDirectories(const std::string& path) override {
    TORII_RETURN_IF_ERROR(NextMutation("make directory", path));
    return base_.MakeDirectories(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveAll(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path) override {
    TORII_RETURN_IF_ERROR(plan_.CheckAlive("lock", path));
    return base_.TryLock(path);
  }
  absl::StatusOr<bool> Exchange(const std::string& a, const std::string& b) override {
    TORII_RETURN_IF_ERROR(NextMutation("exchange", a));
    TORII_ASSIGN_OR_RETURN(const bool exchanged, base_.Exchange(a, b));
    if (exchanged) MoveRecords(a, b);
    return exchanged;
  }
  absl::StatusOr<std::string> RealPath(const std::string& path) override {
    TORII_RETURN_IF_ERROR(plan_.CheckAlive("follow", path));
    return base_.RealPath(path);
  }

 private:
  absl::Status NextMutation(const char* operation, const std::string& path) {
    const FileFault fault = plan_.Next(CallKind::kMutation);
    return fault == FileFault::kNone ? absl::OkStatus()
                                     : FaultPlan::Failure(fault, operation, path);
  }
  // The record of a file about to be opened for writing; what was there before counts as durable.
  absl::StatusOr<std::shared_ptr<Durability>> Track(const std::string& path);
  // Forgets `path` and everything below it.
  void Forget(const std::string& path);
  // What was known of `from` is known of `to`, whose names are durable now; that of `to` is lost.
  void MoveRecords(const std::string& from, const std::string& to);

  FileSystem& base_;
  FaultPlan plan_;
  std::mutex mutex_;  // guards tracked_; the records in it belong to the files' writers
  std::map<std::string, std::shared_ptr<Durability>> tracked_;
};

bool IsAtOrBelow(const std::string& path, const std::string& root) {
  return path == root || path.rfind(root + "/", 0) == 0;
}

absl::StatusOr<std::shared_ptr<Durability>> FaultFileSystemOnBase::Track(const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, base_.Info(path));
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Durability>& record = tracked_[path];
  if (record == nullptr) {
    record = std::make_shared<Durability>(
        Durability{.written = info.size, .synced = info.size, .entry_durable = info.exists});
  }
  return record;
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultFileSystemOnBase::Create(
    const std::string& path) {
  TORII_RETURN_IF_ERROR(NextMutation("create", path));
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<Durability> record, Track(path));
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, base_.Create(path));
  record->written = 0;
  record->synced = 0;
  return std::make_unique<FaultWritableFile>(path, std::move(file), std::move(record), plan_);
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultFileSystemOnBase::OpenForAppending(
    const std::string& path) {
  TORII_RETURN_IF_ERROR(NextMutation("create", path));
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<Durability> record, Track(path));
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, base_.OpenForAppending(path));
  return std::make_unique<FaultWritableFile>(path, std::move(file), std::move(record), plan_);
}

absl::StatusOr<std::shared_ptr<MappedFile>> FaultFileSystemOnBase::Map(const std::string& path) {
  const FileFault fault = plan_.Next(CallKind::kRead);
  if (fault != FileFault::kNone && fault != FileFault::kShortRead) {
    return FaultPlan::Failure(fault, "map", path);
  }
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, base_.Map(path));
  if (fault == FileFault::kNone) return file;
  return std::make_shared<HalfMappedFile>(std::move(file));
}

absl::Status FaultFileSystemOnBase::Rename(const std::string& from, const std::string& to) {
  TORII_RETURN_IF_ERROR(NextMutation("rename", from));
  TORII_RETURN_IF_ERROR(base_.Rename(from, to));
  MoveRecords(from, to);
  return absl::OkStatus();
}

void FaultFileSystemOnBase::MoveRecords(const std::string& from, const std::string& to) {
  Forget(to);
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::shared_ptr<Durability>> moved;
  for (auto it = tracked_.begin(); it != tracked_.end();) {
    if (!IsAtOrBelow(it->first, from)) {
      ++it;
      continue;
    }
    moved[to + it->first.substr(from.size())] = std::move(it->second);
    it = tracked_.erase(it);
  }
  tracked_.merge(moved);
  for (auto& [path, record] : tracked_) {
    const std::string parent = ParentPath(path);
    if (parent == ParentPath(to) || parent == to) record->entry_durable = true;
  }
}

absl::Status FaultFileSystemOnBase::RemoveAll(const std::string& path) {
  TORII_RETURN_IF_ERROR(NextMutation("remove", path));
  TORII_RETURN_IF_ERROR(base_.RemoveAll(path));
  Forget(path);
  return absl::OkStatus();
}

void FaultFileSystemOnBase::Forget(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::erase_if(tracked_, [&path](const auto& entry) { return IsAtOrBelow(entry.first, path); });
}

absl::Status FaultFileSystemOnBase::DropUnsynced() {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, record] : tracked_) {
    if (!record->entry_durable) {
      TORII_RETURN_IF_ERROR(base_.RemoveAll(path));
    } else if (record->synced < record->written) {
      TORII_ASSIGN_OR_RETURN(std::string content, ReadFile(base_, path));
      content.resize(std::min(content.size(), static_cast<size_t>(record->synced)));
      TORII_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, base_.Create(path));
      TORII_RETURN_IF_ERROR(file->Append(content));
      TORII_RETURN_IF_ERROR(file->Close());
    }
  }
  tracked_.clear();
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<FaultFileSystem> FaultFileSystem::Create(FileSystem& base, FileFault fault,
                                                         int64_t at) {
  return std::make_unique<FaultFileSystemOnBase>(base, fault, at);
}

}  // namespace torii
