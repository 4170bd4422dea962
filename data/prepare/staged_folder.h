// A folder that appears complete or not at all: written beside its place, renamed at the end.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"

namespace torii::data {

// Owned by one thread. Destroyed without Commit: everything written is removed.
class StagedFolder {
 public:
  // Makes "<target>.tmp-<process id>". Refuses a target that is there and is no prepared dataset.
  // `files` is borrowed.
  static absl::StatusOr<StagedFolder> Create(FileSystem& files, const std::string& target);
  ~StagedFolder();
  StagedFolder(StagedFolder&& other) noexcept;
  StagedFolder& operator=(StagedFolder&&) = delete;

  const std::string& path() const { return path_; }
  // A folder inside for scratch files; removed by Commit.
  std::string scratch() const { return JoinPath(path_, "scratch"); }
  // Replaces the target. On failure the old target is as it was.
  absl::Status Commit();

 private:
  StagedFolder(FileSystem& files, std::string target);

  FileSystem& files_;
  std::string target_;
  std::string path_;
  bool open_ = true;
};

}  // namespace torii::data
