#include "base/files/staged_folder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace torii {
namespace {

// "a/b" -> "a/.b" + suffix
std::string Beside(const std::string& target, const char* suffix) {
  return JoinPath(ParentPath(target), absl::StrCat(".", BaseName(target), suffix));
}

// "a, b, c and 17 others"
std::string Enumerate(const std::vector<std::string>& names) {
  constexpr size_t kNamed = 3;
  if (names.size() <= kNamed + 1) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + kNamed, ", "), " and ",
                      names.size() - kNamed, " others");
}

}  // namespace

StagedFolder::StagedFolder(FileSystem& files, std::string target, StagedFolderOptions options)
    : files_(files),
      target_(std::move(target)),
      path_(Beside(target_, ".new")),
      old_(Beside(target_, ".old")),
      options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<StagedFolder>> StagedFolder::Open(FileSystem& files,
                                                                 const std::string& target,
                                                                 StagedFolderOptions options) {
  TORII_ASSIGN_OR_RETURN(std::string place, files.RealPath(target));
  std::unique_ptr<StagedFolder> folder(
      new StagedFolder(files, std::move(place), std::move(options)));
  TORII_RETURN_IF_ERROR(Annotate(files.MakeDirectories(ParentPath(folder->target_)), target));
  const LeaseOptions lease{.what = folder->options_.what, .remedy = "", .waits = true};
  TORII_ASSIGN_OR_RETURN(folder->lease_, Lease::Take(files, Beside(folder->target_, "."), lease));
  TORII_RETURN_IF_ERROR(folder->Mend());
  return folder;
}

StagedFolder::~StagedFolder() {
  if (is_written_ && lease_->CheckHeld().ok()) files_.RemoveAll(path_).IgnoreError();
}

// What a process left that died: nobody else has the lease.
absl::Status StagedFolder::Mend() {
  TORII_RETURN_IF_ERROR(files_.RemoveAll(path_));
  TORII_ASSIGN_OR_RETURN(const FileInfo old, files_.Info(old_));
  if (!old.exists) return absl::OkStatus();
  TORII_ASSIGN_OR_RETURN(const FileInfo now, files_.Info(target_));
  if (now.exists) return RemoveOld(old_);
  TORII_INFO(target_, ": a process died while it replaced ", options_.what,
             "; the former one is back");
  return files_.Rename(old_, target_);
}

absl::Status StagedFolder::CheckReplaceable() {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files_.Info(target_));
  if (!info.exists) return absl::OkStatus();
  if (!info.is_directory) {
    return CannotCreateError(absl::StrCat(target_, ": is a file; ", options_.remedy));
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(target_));
  const std::vector<std::string> foreign = options_.foreign(target_, names);
  if (foreign.empty()) return absl::OkStatus();
  return CannotCreateError(absl::StrCat(
      target_, ": Torii would replace this folder, but it holds what Torii did not write: ",
      Enumerate(foreign), "; move that away, or ", options_.remedy));
}

absl::Status StagedFolder::Begin() {
  TORII_RETURN_IF_ERROR(CheckReplaceable());
  TORII_RETURN_IF_ERROR(files_.MakeDirectories(path_));
  is_written_ = true;
  return absl::OkStatus();
}

absl::Status StagedFolder::Commit() {
  TORII_RETURN_IF_ERROR(files_.RemoveAll(scratch()));
  TORII_RETURN_IF_ERROR(lease_->CheckHeld());
  TORII_RETURN_IF_ERROR(CheckReplaceable());
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files_.Info(target_));
  if (!info.exists) {
    TORII_RETURN_IF_ERROR(files_.Rename(path_, target_));
    is_written_ = false;
    return absl::OkStatus();
  }
  TORII_ASSIGN_OR_RETURN(const bool exchanged, files_.Exchange(path_, target_));
  if (exchanged) {
    is_written_ = false;
    TORII_FAILPOINT("folder.after_exchange");
    if (const absl::Status status = files_.Rename(path_, old_); !status.ok()) {
      TORII_WARNING("the former folder is in ", path_, ": ", std::string(status.message()));
      return absl::OkStatus();
    }
  } else {
    // Two steps; a kill between them is mended by the next process.
    TORII_RETURN_IF_ERROR(files_.Rename(target_, old_));
    TORII_FAILPOINT("folder.between_renames");
    if (const absl::Status status = files_.Rename(path_, target_); !status.ok()) {
      files_.Rename(old_, target_).IgnoreError();
      return status;
    }
    is_written_ = false;
  }
  // The new folder is in place; what is left of the old one does not make that a failure.
  if (const absl::Status status = RemoveOld(old_); !status.ok()) {
    TORII_WARNING("the former folder is in ", old_, ": ", std::string(status.message()));
  }
  return absl::OkStatus();
}

// Something may have been put there since the last look: it stays.
absl::Status StagedFolder::RemoveOld(const std::string& old) {
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(old));
  const std::vector<std::string> foreign = options_.foreign(old, names);
  if (foreign.empty()) return files_.RemoveAll(old);
  return IoError(
      absl::StrCat(old, " stays: it holds what Torii did not write: ", Enumerate(foreign)));
}

}  // namespace torii
