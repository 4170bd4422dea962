#include "data/prepare/staged_folder.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "data/prepared_layout.h"

namespace torii::data {
namespace {

// "data/prepared/" -> "data/prepared"
std::string WithoutSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

absl::Status CheckTarget(FileSystem& files, const std::string& target) {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(target));
  if (!info.exists) {
    return absl::OkStatus();
  }
  if (!info.is_directory) {
    return CannotCreateError(absl::StrCat(target, ": is a file; choose another data.prepared_dir"));
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(target));
  TORII_ASSIGN_OR_RETURN(const FileInfo meta, files.Info(JoinPath(target, kPreparedMetaName)));
  if (!names.empty() && !meta.exists) {
    return CannotCreateError(
        absl::StrCat(target, ": is a folder with other files; choose another data.prepared_dir"));
  }
  return absl::OkStatus();
}

}  // namespace

StagedFolder::StagedFolder(FileSystem& files, std::string target)
    : files_(files), target_(std::move(target)), path_(absl::StrCat(target_, ".tmp-", getpid())) {}

StagedFolder::StagedFolder(StagedFolder&& other) noexcept
    : files_(other.files_),
      target_(std::move(other.target_)),
      path_(std::move(other.path_)),
      open_(std::exchange(other.open_, false)) {}

absl::StatusOr<StagedFolder> StagedFolder::Create(FileSystem& files, const std::string& target) {
  TORII_RETURN_IF_ERROR(CheckTarget(files, WithoutSlash(target)));
  StagedFolder folder(files, WithoutSlash(target));
  TORII_RETURN_IF_ERROR(files.RemoveAll(folder.path_));
  TORII_RETURN_IF_ERROR(Annotate(files.MakeDirectories(folder.scratch()), "data.prepared_dir"));
  return folder;
}

StagedFolder::~StagedFolder() {
  if (open_) {
    files_.RemoveAll(path_).IgnoreError();
  }
}

absl::Status StagedFolder::Commit() {
  TORII_FAILPOINT("prepare.before_commit");
  TORII_RETURN_IF_ERROR(files_.RemoveAll(scratch()));
  TORII_ASSIGN_OR_RETURN(const FileInfo old, files_.Info(target_));
  if (!old.exists) {
    TORII_RETURN_IF_ERROR(files_.Rename(path_, target_));
    open_ = false;
    return absl::OkStatus();
  }
  // A folder cannot be replaced in one step: the old one steps aside.
  const std::string aside = absl::StrCat(target_, ".old-", getpid());
  TORII_RETURN_IF_ERROR(files_.RemoveAll(aside));
  TORII_RETURN_IF_ERROR(files_.Rename(target_, aside));
  if (absl::Status status = files_.Rename(path_, target_); !status.ok()) {
    files_.Rename(aside, target_).IgnoreError();
    return status;
  }
  open_ = false;
  // The new dataset is in place; what is left of the old one does not make that a failure.
  if (!files_.RemoveAll(aside).ok()) {
    if (const absl::Status status = files_.RemoveAll(aside); !status.ok()) {
      TORII_WARNING("the older dataset can be deleted: ", std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace torii::data
