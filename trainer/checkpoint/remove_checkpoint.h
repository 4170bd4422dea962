// Removes checkpoints, and nothing that Torii did not write.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"

namespace torii::trainer {

// Removes the files of the checkpoint folder `path`, whole or half-written, and the folder. Other
// files in it stay, and the folder with them: a warning names one. A missing folder is no error.
absl::Status RemoveCheckpoint(FileSystem& files, const std::string& path);
// Removes what a kill has left half-written in a folder of checkpoints, in the same way. What cannot be
// removed stays, with a warning.
absl::Status RemovePartials(FileSystem& files, const std::string& directory);
// Removes all checkpoints of a folder and what a kill has left of them, then the folder, in the same
// way.
absl::Status RemoveCheckpoints(FileSystem& files, const std::string& directory);

}  // namespace torii::trainer
