#include "base/files/lease.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace torii {
namespace {

using std::chrono::milliseconds;

// What a lease file says; an empty nonce if there is none, or one that a crash left empty.
absl::StatusOr<Holder> ReadHolder(FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
  if (!info.exists) return Holder{};
  absl::StatusOr<std::string> text = ReadFile(files, path);
  if (absl::StatusOr<FileInfo> again = files.Info(path); again.ok() && !again->exists) {
    return Holder{};  // given back in between
  }
  TORII_RETURN_IF_ERROR(text.status());
  return ParseHolder(*text);
}

// How long ago the lease file was written, by the clock of the file system, which other machines
// share: that of a file which is written now.
absl::StatusOr<milliseconds> AgeOf(FileSystem& files, const std::string& path) {
  const std::string probe = absl::StrCat(path, ".", ThisHolder().nonce);
  TORII_RETURN_IF_ERROR(WriteFileAtomically(files, probe, ""));
  const absl::StatusOr<FileInfo> now = files.Info(probe);
  TORII_RETURN_IF_ERROR(files.RemoveAll(probe));
  TORII_RETURN_IF_ERROR(now.status());
  TORII_ASSIGN_OR_RETURN(const FileInfo then, files.Info(path));
  return milliseconds((now->modified_ns - then.modified_ns) / 1'000'000);
}

// Waits for what others do with a lease.
class Contest {
 public:
  Contest(FileSystem& files, const std::string& prefix, const LeaseOptions& options,
          const Holder& me)
      : files_(files),
        lock_path_(prefix + "lock"),
        lease_path_(prefix + "lease"),
        options_(options),
        me_(me) {}

  // The lock, once nobody that lives has the lease. Null: the file system has no locks.
  absl::StatusOr<std::unique_ptr<FileLock>> Win() {
    for (;; std::this_thread::sleep_for(options_.look_every)) {
      absl::StatusOr<std::unique_ptr<FileLock>> lock = files_.TryLock(lock_path_);
      const bool has_locks = lock.ok() || ExitCodeOf(lock.status()) != ExitCode::kIo;
      if (has_locks) TORII_RETURN_IF_ERROR(lock.status());
      TORII_ASSIGN_OR_RETURN(const Holder holder, ReadHolder(files_, lease_path_));
      if (has_locks && *lock == nullptr) {
        if (!options_.waits) return InUse(holder);
        Say(absl::StrCat("waiting for ", Describe(holder), ", which has ", options_.what));
        continue;
      }
      TORII_ASSIGN_OR_RETURN(const bool is_free, IsFree(holder, has_locks));
      if (!is_free) continue;
      return has_locks ? std::move(*lock) : nullptr;
    }
  }

 private:
  // Whether the holder is gone. Nobody else has the lock, if there are locks.
  absl::StatusOr<bool> IsFree(const Holder& holder, bool has_locks) {
    if (holder.nonce.empty()) return true;
    if (has_locks && SameKernel(holder, me_)) return TakeOver(holder, "is gone");
    if (options_.take) return TakeOver(holder, "is said to be gone");
    TORII_ASSIGN_OR_RETURN(const milliseconds age, AgeOf(files_, lease_path_));
    if (age >= options_.stale_after) {
      return TakeOver(holder, absl::StrCat("has not shown itself for ", age.count() / 1000, " s"));
    }
    if (!seen_.has_value() || seen_->nonce != holder.nonce) seen_ = holder;
    if (holder.beat != seen_->beat && !options_.waits) return InUse(holder);
    Say(absl::StrCat("waiting up to ", options_.stale_after.count() / 1000, " s to see whether ",
                     Describe(holder), ", another machine, still lives: it has ", options_.what));
    return false;
  }
  bool TakeOver(const Holder& holder, const std::string& why) const {
    TORII_INFO(lease_path_, ": ", Describe(holder), " ", why, "; taking over");
    return true;
  }
  absl::Status InUse(const Holder& holder) const {
    return CannotCreateError(absl::StrCat(lease_path_, ": ", options_.what, " is in use by ",
                                          Describe(holder), ": ", options_.remedy));
  }
  // Once.
  void Say(const std::string& line) {
    if (!std::exchange(said_, true)) TORII_INFO(line);
  }

  FileSystem& files_;
  const std::string lock_path_, lease_path_;
  const LeaseOptions& options_;
  const Holder& me_;
  std::optional<Holder> seen_;  // at the first look
  bool said_ = false;
};

}  // namespace

Lease::Lease(FileSystem& files, const std::string& prefix, LeaseOptions options)
    : files_(files), path_(prefix + "lease"), options_(std::move(options)), me_(ThisHolder()) {}

absl::StatusOr<std::unique_ptr<Lease>> Lease::Take(FileSystem& files, const std::string& prefix,
                                                   const LeaseOptions& options) {
  std::unique_ptr<Lease> lease(new Lease(files, prefix, options));
  TORII_ASSIGN_OR_RETURN(lease->lock_, Contest(files, prefix, options, lease->me_).Win());
  TORII_FAILPOINT("lease.before_write");
  TORII_RETURN_IF_ERROR(lease->Write());
  lease->beating_ = std::thread([&lease = *lease] { lease.Beat(); });
  return lease;
}

Lease::~Lease() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  ending_.notify_all();
  if (beating_.joinable()) beating_.join();
  const absl::StatusOr<Holder> holder = ReadHolder(files_, path_);
  if (holder.ok() && holder->nonce == me_.nonce) files_.RemoveAll(path_).IgnoreError();
}

absl::Status Lease::CheckHeld() {
  const std::lock_guard lock(mutex_);
  TORII_ASSIGN_OR_RETURN(const Holder holder, ReadHolder(files_, path_));
  if (holder.nonce == me_.nonce) return absl::OkStatus();
  const std::string what =
      holder.nonce.empty()
          ? absl::StrCat("this file is gone, so that another process may use ", options_.what)
          : absl::StrCat(Describe(holder), " has taken over ", options_.what);
  return CannotCreateError(
      absl::StrCat(path_, ": ", what, ": this process stops before it writes there"));
}

// With mutex_ held, or before there is another thread.
absl::Status Lease::Write() { return WriteFileAtomically(files_, path_, FormatHolder(me_)); }

// A thread of its own.
void Lease::Beat() {
  bool warned = false;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (ending_.wait_for(lock, options_.beat_every, [this] { return ends_; })) return;
    }
    absl::Status status = CheckHeld();
    if (ExitCodeOf(status) == ExitCode::kCannotCreate) return;  // CheckHeld tells whoever writes
    if (status.ok()) {
      const std::lock_guard lock(mutex_);
      ++me_.beat;
      status = Write();
    }
    if (!status.ok() && !std::exchange(warned, true)) {
      TORII_WARNING("the lease cannot be renewed: ", std::string(status.message()));
    }
  }
}

}  // namespace torii
