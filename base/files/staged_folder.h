// A folder that appears complete or not at all: written beside its place, and put there at the end.
// At every moment there is either the old folder under its name or the new one. Nothing is removed
// that Torii did not write.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/files/lease.h"

namespace torii {

struct StagedFolderOptions {
  // What the folder is, for messages: "the prepared dataset prepared".
  std::string what;
  // The way out where the folder may not be replaced: "choose another data.prepared_dir".
  std::string remedy;
  // Of the names in a folder that is to be replaced, those that Torii did not write.
  std::function<std::vector<std::string>(const std::string& folder,
                                         const std::vector<std::string>& names)>
      foreign;
};

// For target DIR/NAME these lie beside it:
//   DIR/.NAME.lock, DIR/.NAME.lease   of the one process that may replace it (lease.h)
//   DIR/.NAME.new                     being written
//   DIR/.NAME.old                     on its way out
// What a kill left of them is swept by the next process that has the lease.
class StagedFolder {
 public:
  // Follows symbolic links of `target`. Waits for another process that replaces the folder, and
  // mends what one that died has left.
  static absl::StatusOr<std::unique_ptr<StagedFolder>> Open(FileSystem& files,
                                                            const std::string& target,
                                                            StagedFolderOptions options);
  // Without Commit, everything that was written is removed.
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  // Where the folder is to be.
  const std::string& target() const { return target_; }
  // Makes path(), empty. kCannotCreate if what is at the target may not be replaced.
  absl::Status Begin();
  const std::string& path() const { return path_; }
  // A folder inside for scratch files; removed by Commit.
  std::string scratch() const { return JoinPath(path_, "scratch"); }
  // Puts path() at the target. On failure the target is as it was.
  absl::Status Commit();

 private:
  StagedFolder(FileSystem& files, std::string target, StagedFolderOptions options);
  absl::Status Mend();
  absl::Status CheckReplaceable();
  absl::Status RemoveOld(const std::string& old);

  FileSystem& files_;
  const std::string target_, path_, old_;
  const StagedFolderOptions options_;
  std::unique_ptr<Lease> lease_;
  bool is_written_ = false;  // path_ is there and not in place
};

}  // namespace torii
